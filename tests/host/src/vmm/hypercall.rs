//! Hyper-V hypercalls: what is decoded from the input value and page. Source: TLFS chapter 3.

use super::{
    Vmm, lies,
    missing::Request,
    registers::{self, SetRegisters},
    sets, start,
};
use alloc::vec::Vec;
use tessera_defs::{
    breach,
    hyperv::{self as hv, synic},
    start_vp::StartVpInput,
};

/// Registers that hypercalls need: a partition's, of each virtual trust level its own (TLFS 15.11.2).
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperV {
    /// GUEST_OS_ID.
    pub guest_os_id: u64,
    /// HYPERCALL.
    pub hypercall: u64,
    /// REFERENCE_TSC.
    pub reference_tsc: u64,
}

/// A decoded hypercall.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // one at a time; the host's heap takes nothing back
pub enum Hypercall {
    /// Answered at once with this result value.
    Done(u64),
    /// Change the visibility of these guest frames; the result value is `repeated(done)`.
    Visibility {
        /// Guest frame numbers.
        frames: Vec<u64>,
        /// Shared with the host, or private.
        shared: bool,
    },
    /// The result value, and what goes to the output page.
    Output(u64, Vec<u8>),
    /// Start a processor.
    Start(StartVpInput),
    /// Set registers of a lower context; the result value is `repeated(done)`.
    Registers(SetRegisters),
}

/// Calls whose input fits the registers.
const FAST: [u16; 3] = [
    hv::HVCALL_NOTIFY_LONG_SPIN_WAIT,
    hv::sets::HVCALL_SEND_IPI,
    synic::HVCALL_SIGNAL_EVENT,
];
/// Bits of the input value that are reserved; of calls without a variable header its size, too.
const RESERVED: u64 = 0xF000_F000_F800_0000;

/// Result value of a rep hypercall that completed `done` repetitions.
pub fn repeated(status: u16, done: usize) -> u64 {
    u64::from(status) | (done as u64) << hv::HYPERCALL_REP_COUNT_SHIFT
}

impl Vmm {
    /// Decodes `control` with its input page (4 KiB at most; shorter where the route is).
    pub fn hypercall(&mut self, control: u64, input: &[u8]) -> Hypercall {
        self.note("hypercall");
        if self.hyperv().guest_os_id == 0 {
            self.offence = Some(&breach::HYPERCALL_PAGE_MISSING);
            return Hypercall::Done(u64::from(hv::HV_STATUS_ACCESS_DENIED));
        }
        // A fast call's input is the caller's 16 bytes.
        let (code, fast) = (control as u16, control & hv::HYPERCALL_FAST != 0);
        let header = control & hv::sets::VARIABLE_HEADER != 0 && !sets::is_variable(code);
        if control & RESERVED != 0 || header || fast && !FAST.contains(&code) {
            return Hypercall::Done(u64::from(hv::HV_STATUS_INVALID_HYPERCALL_INPUT));
        }
        match code {
            hv::HVCALL_MODIFY_SPARSE_GPA_PAGE_HOST_VISIBILITY => visibility(control, input),
            hv::HVCALL_SET_VP_REGISTERS => match registers::decode(control, input) {
                Ok(set) => Hypercall::Registers(set),
                Err(status) => Hypercall::Done(status.into()),
            },
            hv::HVCALL_GET_VP_INDEX => self.vp_indices(control, input),
            hv::HVCALL_START_VP => self.start_vp(control, input),
            synic::HVCALL_POST_MESSAGE => Hypercall::Done(self.post_message(control, input).into()),
            synic::HVCALL_SIGNAL_EVENT => Hypercall::Done(self.signal_event(control, input).into()),
            hv::HVCALL_NOTIFY_LONG_SPIN_WAIT => Hypercall::Done(self.spin_wait(control, input)),
            // The APICs that a paravisor's guest would reach so are none of the hypervisor's.
            code if sets::is_ipi(code) && self.vp().below => {
                Hypercall::Done(hv::HV_STATUS_ACCESS_DENIED.into())
            }
            code if sets::is_one(code) => Hypercall::Done(self.call_processors(control, input)),
            code => {
                self.unsupported(Request::Hypercall(code), [control, 0, 0, 0]);
                Hypercall::Done(u64::from(hv::HV_STATUS_INVALID_HYPERCALL_CODE))
            }
        }
    }
}

impl Vmm {
    /// TLFS 7.8.3: a simple call. The processor must exist and wait; more is the technology's.
    fn start_vp(&mut self, control: u64, input: &[u8]) -> Hypercall {
        if control >> hv::HYPERCALL_REP_COUNT_SHIFT != 0 {
            return Hypercall::Done(hv::HV_STATUS_INVALID_HYPERCALL_INPUT.into());
        }
        match start::decode(input) {
            Ok(start) if start.vp_index as usize >= self.vps.len() => {
                self.offence = Some(&breach::PROCESSOR_UNKNOWN);
                Hypercall::Done(hv::HV_STATUS_INVALID_VP_INDEX.into())
            }
            Ok(start) => Hypercall::Start(start),
            Err(status) => Hypercall::Done(status.into()),
        }
    }

    /// APIC ids are indices here.
    fn vp_indices(&self, control: u64, input: &[u8]) -> Hypercall {
        let invalid = Hypercall::Done(hv::HV_STATUS_INVALID_PARAMETER.into());
        let count = (control >> hv::HYPERCALL_REP_COUNT_SHIFT & 0xFFF) as usize;
        let Some((head, ids)) = input.split_first_chunk::<16>() else {
            return invalid;
        };
        let ids = ids.as_chunks::<4>().0.get(..count).unwrap_or_default();
        if head[..8] != [0xFF; 8] || head[8..] != [0; 8] || ids.is_empty() {
            return invalid;
        }
        let known = |id: &&[u8; 4]| (u32::from_le_bytes(**id) as usize) < self.vps.len();
        let found: Vec<_> = ids.iter().take_while(known).copied().collect();
        let status = match found.len() == count {
            true => hv::HV_STATUS_SUCCESS,
            false => hv::HV_STATUS_INVALID_PARAMETER,
        };
        Hypercall::Output(repeated(status, found.len()), found.as_flattened().to_vec())
    }

    /// TLFS: a simple call of 8 bytes.
    fn spin_wait(&self, control: u64, input: &[u8]) -> u64 {
        let malformed = control >> hv::HYPERCALL_REP_COUNT_SHIFT != 0 || input.len() < 8;
        match malformed {
            true => hv::HV_STATUS_INVALID_HYPERCALL_INPUT.into(),
            false if self.tells(lies::HYPERCALL_REPLY) => repeated(hv::HV_STATUS_SUCCESS, 5),
            false => hv::HV_STATUS_SUCCESS.into(),
        }
    }
}

fn visibility(control: u64, input: &[u8]) -> Hypercall {
    let invalid = Hypercall::Done(u64::from(hv::HV_STATUS_INVALID_PARAMETER));
    let count = (control >> hv::HYPERCALL_REP_COUNT_SHIFT & 0xFFF) as usize;
    let start = (control >> 48 & 0xFFF) as usize;
    let word = |at: usize| {
        let bytes = input.get(at..at + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    let (Some(partition), Some(kind)) = (word(0), word(8)) else {
        return invalid;
    };
    let shared = match kind as u32 {
        hv::VISIBILITY_PRIVATE => false,
        hv::VISIBILITY_SHARED => true,
        _ => return invalid,
    };
    if partition != hv::PARTITION_SELF || kind >> 32 != 0 || count == 0 || start >= count {
        return invalid;
    }
    let frames = (start..count)
        .map(|i| word(hv::VISIBILITY_HEADER + i * 8))
        .collect();
    match frames {
        Some(frames) => Hypercall::Visibility { frames, shared },
        None => invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::Scenario;
    use super::*;

    #[test]
    fn visibility_lists_frames() {
        let mut vmm = Vmm::new(Scenario::default(), crate::machine::FAKE);
        let mut input = [0u8; 64];
        input[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        input[8] = 3;
        input[16] = 0x42;
        let control = 0xDB | 1u64 << 32;
        assert_eq!(vmm.hypercall(control, &input), Hypercall::Done(6));
        vmm.hyperv().guest_os_id = hv::GUEST_OS_ID;
        let expected = Hypercall::Visibility {
            frames: alloc::vec![0x42],
            shared: true,
        };
        assert_eq!(vmm.hypercall(control, &input), expected);
        assert_eq!(vmm.hypercall(0x1234, &input), Hypercall::Done(2));
        assert_eq!(vmm.hypercall(control | 1 << 20, &input), Hypercall::Done(3));
        assert_eq!(vmm.hypercall(control | 1 << 16, &input), Hypercall::Done(3));
        assert_eq!(vmm.hypercall(0x1_0008, &input), Hypercall::Done(0));
        assert_eq!(vmm.hypercall(8, &input[..4]), Hypercall::Done(3));
    }

    #[test]
    fn an_apic_id_is_an_index_where_there_is_such_a_processor() {
        let scenario = Scenario::parse("smp=3").unwrap();
        let mut vmm = Vmm::new(scenario, crate::machine::FAKE);
        vmm.hyperv().guest_os_id = hv::GUEST_OS_ID;
        let mut input = [0u8; 24];
        input[..8].fill(0xFF);
        (input[16], input[20]) = (2, 3);
        let control = u64::from(hv::HVCALL_GET_VP_INDEX) | 2 << 32;
        let found = Hypercall::Output(5 | 1 << 32, [2, 0, 0, 0].into());
        assert_eq!(vmm.hypercall(control, &input), found);
        input[8] = 1;
        assert_eq!(vmm.hypercall(control, &input), Hypercall::Done(5));
    }
}
