//! What an access of a VMPL to a guest-physical address comes to. Source: APM vol. 2, 15.36.10,
//! tables 15-38 and 15-39.

use super::rmp::{Entry, Rmp};
use crate::{
    memory::{
        frames::{Memory, PAGE},
        walk,
    },
    svm::npt,
};
use tessera_defs::snp::{rmp as perm, status};

/// How a context sees addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Its VMPL.
    pub vmpl: usize,
    /// vTOM, where the context has it.
    pub vtom: Option<u64>,
    /// Its paging is off: nothing can say that an access is shared (APM vol. 2, 15.34.5).
    pub unpaged: bool,
}

/// Kind of access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Write.
    pub write: bool,
    /// Instruction fetch.
    pub fetch: bool,
}

/// Why an access goes to the host as a nested page fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The host maps nothing there; whether the access was private.
    Unmapped {
        /// Private.
        private: bool,
    },
    /// A private access to a frame that is not this guest's at this address.
    NotAssigned,
    /// A shared access to a frame that is the guest's.
    Assigned,
    /// The VMPL's permissions deny it.
    Permission,
    /// A 4 KiB instruction on a 2 MiB entry.
    Size,
}

/// The outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Allowed; the nested leaf to make.
    Map(u32, npt::Access),
    /// #VC with PAGE_NOT_VALIDATED.
    NotValidated,
    /// Exit to the host.
    Host(Fault),
}

impl View {
    /// The address without its C-bit or vTOM bit, and whether it is private.
    pub fn split(&self, gpa: u64) -> (u64, bool) {
        match self.vtom {
            Some(top) => (gpa & !top, gpa & top == 0),
            None => {
                let private = self.unpaged || gpa >> status::C_BIT & 1 == 1;
                (gpa & !(1 << status::C_BIT), private)
            }
        }
    }

    /// Both names of a page in this context.
    pub fn aliases(&self, gpa: u64) -> [u64; 2] {
        [gpa, gpa | self.vtom.unwrap_or(1 << status::C_BIT)]
    }

    /// The address by which the processor reads the guest's tables: always private, whatever the
    /// C-bit says (APM vol. 2, 15.34.5); with vTOM the address decides.
    pub fn table(&self, gpa: u64) -> u64 {
        match self.vtom {
            Some(_) => gpa,
            None => gpa | 1 << status::C_BIT,
        }
    }

    /// The first frame of the 2 MiB around a private `gpa`, where they follow each other and
    /// every access comes to the same on all of them.
    pub fn block(&self, rmp: &Rmp, memory: &Memory, gpa: u64) -> Option<u32> {
        let (gpa, private) = self.split(gpa);
        let first = memory.block(gpa / PAGE as u64).filter(|_| private)?;
        let gfn = (gpa / PAGE as u64) & !511;
        let mine = |entry: Entry, n: u32| {
            entry.assigned && entry.validated && entry.gfn == gfn + u64::from(n)
        };
        if let Some(entry) = rmp.run(first) {
            return mine(entry, 0).then_some(first);
        }
        let granted = rmp.get(first).permissions[self.vmpl];
        let alike = |n: u32| {
            let entry = rmp.get(first + n);
            mine(entry, n) && entry.permissions[self.vmpl] == granted
        };
        (0..512).all(alike).then_some(first)
    }

    /// Decides an access.
    pub fn resolve(&self, rmp: &Rmp, memory: &Memory, gpa: u64, wants: Wants) -> Outcome {
        let (gpa, private) = self.split(gpa);
        let gfn = gpa / PAGE as u64;
        let Some(frame) = memory.frame(gfn) else {
            return Outcome::Host(Fault::Unmapped { private });
        };
        let entry = rmp.get(frame);
        if !private {
            // Code is always fetched as private memory: a shared leaf is not executable.
            return match entry.assigned || wants.fetch {
                true => Outcome::Host(Fault::Assigned),
                false => Outcome::Map(
                    frame,
                    npt::Access {
                        write: true,
                        execute: false,
                    },
                ),
            };
        }
        if !entry.assigned || entry.gfn != gfn {
            return Outcome::Host(Fault::NotAssigned);
        }
        if !entry.validated {
            return Outcome::NotValidated;
        }
        let granted = entry.permissions[self.vmpl];
        let allows = npt::Access {
            write: granted & perm::PERM_WRITE != 0,
            execute: granted & (perm::PERM_USER_EXEC | perm::PERM_KERNEL_EXEC) != 0,
        };
        let denied = granted & perm::PERM_READ == 0
            || wants.write && !allows.write
            || wants.fetch && !allows.execute;
        if denied {
            Outcome::Host(Fault::Permission)
        } else {
            Outcome::Map(frame, allows)
        }
    }
}

/// Guest-physical memory as a context may use it.
pub struct Seen<'a> {
    /// The context's view.
    pub view: View,
    /// The table.
    pub rmp: &'a Rmp,
    /// The frames.
    pub memory: &'a mut Memory,
}

impl walk::Physical for Seen<'_> {
    fn read_u64(&mut self, gpa: u64) -> Option<u64> {
        match self
            .view
            .resolve(self.rmp, self.memory, gpa, Wants::default())
        {
            Outcome::Map(frame, _) => self.memory.read_u64(frame, gpa as usize % PAGE),
            _ => None,
        }
    }

    fn read_entry(&mut self, gpa: u64) -> Option<u64> {
        self.read_u64(self.view.table(gpa))
    }

    fn write_u64(&mut self, gpa: u64, value: u64) -> Option<()> {
        let wants = Wants {
            write: true,
            fetch: false,
        };
        let Outcome::Map(frame, _) = self.view.resolve(self.rmp, self.memory, gpa, wants) else {
            return None;
        };
        let offset = gpa as usize % PAGE;
        let place = self.memory.page(frame)?.get_mut(offset..offset + 8)?;
        place.copy_from_slice(&value.to_le_bytes());
        Some(())
    }
}
