//! Requests of the guest that this host does not model. Each is answered as the architecture
//! answers where nothing is, and counted by name with the place of the first.

use alloc::vec::Vec;
use core::fmt;

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Request {
    In(u16),
    Out(u16),
    StringIo(u16),
    Rdmsr(u32),
    Wrmsr(u32),
    MmioRead(u64),
    MmioWrite(u64),
    Hypercall(u16),
    Register(u32),
    Ghcb(u64),
    Tdvmcall(u64),
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::In(port) => write!(f, "in {port:#x}"),
            Request::Out(port) => write!(f, "out {port:#x}"),
            Request::StringIo(port) => write!(f, "string-io {port:#x}"),
            Request::Rdmsr(msr) => write!(f, "rdmsr {msr:#x}"),
            Request::Wrmsr(msr) => write!(f, "wrmsr {msr:#x}"),
            Request::MmioRead(gpa) => write!(f, "mmio-read {gpa:#x}"),
            Request::MmioWrite(gpa) => write!(f, "mmio-write {gpa:#x}"),
            Request::Hypercall(code) => write!(f, "hypercall {code:#x}"),
            Request::Register(name) => write!(f, "register {name:#x}"),
            Request::Ghcb(code) => write!(f, "ghcb {code:#x}"),
            Request::Tdvmcall(leaf) => write!(f, "tdvmcall {leaf:#x}"),
        }
    }
}

/// One name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// What.
    pub request: Request,
    /// How often.
    pub count: u64,
    /// RIP of the first.
    pub rip: u64,
    /// Its fields: of a GHCB event the exit code, its two infos and RAX; of a TDVMCALL R11 to R14; of a
    /// hypercall the input value.
    pub fields: [u64; 4],
}

/// Names at most; what comes later is counted under none of them.
const MOST: usize = 256;

/// The list.
#[derive(Clone, Debug)]
pub struct Missing {
    list: Vec<Missed>,
}

impl Default for Missing {
    fn default() -> Self {
        Self {
            list: Vec::with_capacity(MOST),
        }
    }
}

impl Missing {
    /// Counts a request of the guest at `rip`.
    pub fn count(&mut self, request: Request, rip: u64, fields: [u64; 4]) {
        let room = self.list.len() < MOST;
        match self.list.iter_mut().find(|known| known.request == request) {
            Some(known) => known.count += 1,
            None if room => self.list.push(Missed {
                request,
                count: 1,
                rip,
                fields,
            }),
            None => {}
        }
    }

    /// In order of the first.
    pub fn list(&self) -> &[Missed] {
        &self.list
    }
}
