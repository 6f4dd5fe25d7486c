//! Hypercalls to sets of processors. Every entry of a guest flushes its translations here, so that a flush is
//! done with the call; what is malformed is refused. A processor that does not exist is nobody's, as in OpenVMM.

use super::{Vmm, hypercall::repeated, ipi::FIRST_VECTOR, lies};
use alloc::{vec, vec::Vec};
use tessera_defs::hyperv::{self as hv, sets::*};

const INPUT: u16 = hv::HV_STATUS_INVALID_HYPERCALL_INPUT;
const PARAMETER: u16 = hv::HV_STATUS_INVALID_PARAMETER;
/// HV_INPUT_VTL: bits 3:0 are the level, where bit 4 says so.
const VTL: u8 = 0xF;

/// Whether it is one of these calls.
pub fn is_one(code: u16) -> bool {
    is_flush(code) || is_ipi(code)
}

/// Whether it sends interrupts.
pub fn is_ipi(code: u16) -> bool {
    [HVCALL_SEND_IPI, HVCALL_SEND_IPI_EX].contains(&code)
}

/// Whether its input has a variable header.
pub fn is_variable(code: u16) -> bool {
    [
        HVCALL_FLUSH_SPACE_EX,
        HVCALL_FLUSH_LIST_EX,
        HVCALL_SEND_IPI_EX,
    ]
    .contains(&code)
}

fn is_flush(code: u16) -> bool {
    [HVCALL_FLUSH_SPACE, HVCALL_FLUSH_SPACE_EX].contains(&code) || is_list(code)
}

fn is_list(code: u16) -> bool {
    [HVCALL_FLUSH_LIST, HVCALL_FLUSH_LIST_EX].contains(&code)
}

/// The input of one of these calls, word by word.
struct Input {
    code: u16,
    reps: usize,
    start: usize,
    banks: usize,
    words: Vec<u64>,
}

impl Input {
    fn new(control: u64, input: &[u8]) -> Self {
        let words = input.as_chunks().0.iter();
        Self {
            code: control as u16,
            reps: (control >> hv::HYPERCALL_REP_COUNT_SHIFT & 0xFFF) as usize,
            start: (control >> 48 & 0xFFF) as usize,
            banks: ((control & VARIABLE_HEADER) >> VARIABLE_HEADER_SHIFT) as usize,
            words: words.map(|word| u64::from_le_bytes(*word)).collect(),
        }
    }

    fn word(&self, at: usize) -> Result<u64, u16> {
        self.words.get(at).copied().ok_or(INPUT)
    }

    /// Whether repetitions are as the call has them.
    fn repeats_rightly(&self) -> bool {
        match is_list(self.code) {
            true => self.start < self.reps,
            false => (self.reps, self.start) == (0, 0),
        }
    }

    /// The processors that are named from word `at` on, of the `count` there are. Errors: the status.
    fn processors(&self, at: usize, count: usize) -> Result<Vec<usize>, u16> {
        let exists = |n: &usize| *n < count;
        let mask = |bank: usize, mask: u64| {
            let bits = (0..BANK).filter(move |n| mask >> n & 1 == 1);
            bits.map(move |n| bank * BANK + n)
        };
        if !is_variable(self.code) {
            return Ok(mask(0, self.word(at)?).filter(exists).collect());
        }
        let (format, valid) = (self.word(at)?, self.word(at + 1)?);
        match format {
            SET_SPARSE if valid.count_ones() as usize == self.banks => {
                let mut named = vec![];
                let banks = (0..BANK).filter(|bank| valid >> bank & 1 == 1);
                for (place, bank) in banks.enumerate() {
                    named.extend(mask(bank, self.word(at + 2 + place)?).filter(exists));
                }
                Ok(named)
            }
            SET_ALL if self.banks == 0 => Ok((0..count).collect()),
            SET_SPARSE | SET_ALL => Err(INPUT),
            _ => Err(PARAMETER),
        }
    }
}

impl Vmm {
    /// One of these calls; its result value.
    pub(super) fn call_processors(&mut self, control: u64, input: &[u8]) -> u64 {
        let input = Input::new(control, input);
        let done = match input.repeats_rightly() {
            true if is_flush(input.code) => self.flush(&input),
            true => self.cluster_ipi(&input),
            false => Err(INPUT),
        };
        match done {
            Ok(()) => repeated(hv::HV_STATUS_SUCCESS, input.reps),
            Err(status) => repeated(status, input.start),
        }
    }

    fn flush(&self, input: &Input) -> Result<(), u16> {
        let flags = input.word(1)?;
        let mut known = FLUSH_ALL_PROCESSORS | FLUSH_ALL_SPACES | FLUSH_NON_GLOBAL;
        if is_list(input.code) {
            known |= FLUSH_EXTENDED_RANGES;
        }
        let named = input.processors(2, self.vps.len())?;
        if flags & !known != 0 || named.is_empty() && flags & FLUSH_ALL_PROCESSORS == 0 {
            return Err(PARAMETER);
        }
        // Header, then as many ranges.
        let header = if is_variable(input.code) { 4 } else { 3 };
        input
            .words
            .get(..header + input.banks + input.reps)
            .ok_or(INPUT)?;
        Ok(())
    }

    fn cluster_ipi(&mut self, input: &Input) -> Result<(), u16> {
        let head = input.word(0)?;
        let (vector, vtl, rest) = (head as u32, (head >> 32) as u8, head >> 40);
        let named = input.processors(1, self.vps.len())?;
        let vector = u8::try_from(vector)
            .ok()
            .filter(|vector| *vector >= FIRST_VECTOR);
        match (vector, vtl) {
            _ if rest != 0 || vtl & !(VTL | hv::VTL0) != 0 => Err(PARAMETER),
            (_, 0 | hv::VTL0) if vector.is_none() => Err(PARAMETER),
            (Some(vector), 0 | hv::VTL0) => {
                let me = self.current();
                for to in named {
                    if to == me || !self.tells(lies::IPIS_LOST) {
                        self.vps[to].apic.request(vector);
                    }
                }
                Ok(())
            }
            // There is one level, and bit 4 is not set for nothing.
            (_, vtl) if vtl & hv::VTL0 == 0 => Err(PARAMETER),
            _ => Err(hv::HV_STATUS_INVALID_VTL_STATE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{hypercall::Hypercall, scenario::Scenario};
    use super::*;

    fn host(text: &str) -> Vmm {
        let mut vmm = Vmm::new(Scenario::parse(text).unwrap(), crate::machine::FAKE);
        vmm.hyperv().guest_os_id = hv::GUEST_OS_ID;
        vmm
    }

    fn ask(vmm: &mut Vmm, control: u64, words: &[u64]) -> u64 {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        match vmm.hypercall(control, &bytes) {
            Hypercall::Done(result) => result,
            other => panic!("{other:?}"),
        }
    }

    fn reached(vmm: &mut Vmm) -> Vec<usize> {
        let all = 0..vmm.vps.len();
        let requests = |n: usize| vmm.vps[n].apic.read(0x820 + 0x50 / 32, 0);
        all.filter(|n| requests(*n).is_some_and(|word| word >> (0x50 % 32) & 1 == 1))
            .collect()
    }

    const FAST: u64 = hv::HYPERCALL_FAST;
    const BANK_1: u64 = 1 << VARIABLE_HEADER_SHIFT;

    #[test]
    fn an_interrupt_reaches_whom_the_set_names() {
        let send = u64::from(HVCALL_SEND_IPI);
        let set = u64::from(HVCALL_SEND_IPI_EX);
        let vtl0 = u64::from(hv::VTL0) << 32;
        for (control, input, who) in [
            (send, &[0x50, 0b1010][..], &[1usize, 3][..]),
            (send | FAST, &[0x50, 1 << 63 | 1], &[0]),
            (send, &[0x50 | vtl0, 0], &[]),
            (set | BANK_1, &[0x50, SET_SPARSE, 1, 0b110], &[1, 2]),
            (set | BANK_1, &[0x50, SET_SPARSE, 2, u64::MAX], &[]),
            (set | 2 * BANK_1, &[0x50, SET_SPARSE, 3, 1, 1], &[0]),
            (set, &[0x50, SET_ALL, 0], &[0, 1, 2, 3]),
        ] {
            let mut vmm = host("smp=4");
            assert_eq!(ask(&mut vmm, control, input), 0, "{control:#x} {input:x?}");
            assert_eq!(reached(&mut vmm), who, "{control:#x} {input:x?}");
        }
    }

    #[test]
    fn interrupts_that_cannot_be_are_refused() {
        let send = u64::from(HVCALL_SEND_IPI);
        let set = u64::from(HVCALL_SEND_IPI_EX);
        for (control, input, status) in [
            (send, &[0xF, 1][..], PARAMETER),
            (send, &[0x100, 1], PARAMETER),
            (send, &[0x50 | 1 << 40, 1], PARAMETER),
            (send, &[0x50 | 1 << 32, 1], PARAMETER),
            (send, &[0x50 | 1 << 37, 1], PARAMETER),
            (
                send,
                &[0x50 | 0x11 << 32, 1],
                hv::HV_STATUS_INVALID_VTL_STATE,
            ),
            (send, &[0x50], INPUT),
            (send | 1 << 32, &[0x50, 1], INPUT),
            (send | BANK_1, &[0x50, 1, 0], INPUT),
            (set | FAST, &[0x50, SET_ALL], INPUT),
            (set, &[0x50, 2, 0], PARAMETER),
            (set, &[0x50, SET_SPARSE, 1, 1], INPUT),
            (set | 2 * BANK_1, &[0x50, SET_SPARSE, 3, 1], INPUT),
        ] {
            let mut vmm = host("smp=4");
            let result = ask(&mut vmm, control, input);
            assert_eq!(result, status.into(), "{control:#x} {input:x?}");
            assert!(reached(&mut vmm).is_empty());
        }
    }

    #[test]
    fn flushes_are_looked_at() {
        let mut vmm = host("smp=4");
        let (space, list) = (u64::from(HVCALL_FLUSH_SPACE), u64::from(HVCALL_FLUSH_LIST));
        let (space_ex, list_ex) = (
            u64::from(HVCALL_FLUSH_SPACE_EX),
            u64::from(HVCALL_FLUSH_LIST_EX),
        );
        let two = 2u64 << 32;
        for (control, input, result) in [
            (space, &[0, 0, 1][..], 0),
            (space, &[0, FLUSH_ALL_PROCESSORS, 0], 0),
            (space, &[0, 0, 0], PARAMETER.into()),
            (space, &[0, FLUSH_EXTENDED_RANGES, 1], PARAMETER.into()),
            (space, &[0, 1 << 4, 1], PARAMETER.into()),
            (space, &[0, 0], INPUT.into()),
            (space | FAST, &[0, 1], INPUT.into()),
            (list, &[0, 0, 1, 0x1000], INPUT.into()),
            (list | two, &[0, 0, 1, 0x1000, 0x2003], two),
            (
                list | two,
                &[0, FLUSH_EXTENDED_RANGES, 1, 0x1000, 0x2003],
                two,
            ),
            (list | two | 1 << 48, &[0, 0, 1, 0x1000, 0x2003], two),
            (
                list | two | 2 << 48,
                &[0, 0, 1, 0x1000, 0x2003],
                u64::from(INPUT) | two,
            ),
            (list | two, &[0, 0, 1, 0x1000], INPUT.into()),
            (space_ex | BANK_1, &[0, 0, SET_SPARSE, 1, 1], 0),
            (space_ex, &[0, 0, SET_SPARSE, 0], PARAMETER.into()),
            (
                list_ex | two | BANK_1,
                &[0, 0, SET_SPARSE, 1, 1, 0x1000, 0],
                two,
            ),
            (
                list_ex | two | BANK_1,
                &[0, 0, SET_SPARSE, 1, 1, 0x1000],
                INPUT.into(),
            ),
        ] {
            assert_eq!(
                ask(&mut vmm, control, input),
                result,
                "{control:#x} {input:x?}"
            );
        }
    }
}
