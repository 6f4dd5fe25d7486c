//! `HvCallStartVirtualProcessor`: what a caller writes, and what whoever serves it checks. Source: TLFS
//! 6.0b, 7.8.3; which register values fit together: APM vol. 2, 15.5.1, and Intel SDM vol. 3, 27.3.1.

use crate::hyperv::control;
use tessera_defs::hyperv::*;
use tessera_defs::start_vp::{InitialVpContext, SegmentRegister, StartVpInput, TableRegister};
use tessera_defs::x86::efer;

/// Hypercall input value of the call: not fast, no repetitions.
pub const CONTROL: u64 = control(HVCALL_START_VP, 0);

const CR0_PE: u64 = 1 << 0;
const CR0_NW: u64 = 1 << 29;
const CR0_CD: u64 = 1 << 30;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
/// VME to OSXMMEXCPT, UMIP, FSGSBASE, PCIDE, OSXSAVE, SMEP, SMAP, PKE.
const CR4_KNOWN: u64 = 0xFFF | 0b111 << 16 | 0b111 << 20;
const EFER_KNOWN: u64 = efer::SCE | efer::LME | efer::LMA | efer::NXE;
/// Reserved bits of RFLAGS, and VM.
const RFLAGS_ZERO: u64 = !0x3F_FFFF | 1 << 17 | 1 << 15 | 1 << 5 | 1 << 3;
/// Value of the PAT after a reset.
pub const PAT: u64 = 0x0007_0406_0007_0406;
const PRESENT: u16 = 1 << 7;
/// Code, in the type of a segment.
const CODE: u16 = 1 << 3;
const LONG: u16 = 1 << 13;
const DEFAULT_32: u16 = 1 << 14;
/// Bits of an address in CR3.
const ADDRESS_BITS: u32 = 52;

/// The input of a call that starts processor `index` of this partition with `context`.
pub const fn input(index: u32, context: InitialVpContext) -> StartVpInput {
    StartVpInput {
        partition: PARTITION_SELF,
        vp_index: index,
        target_vtl: 0,
        reserved: [0; 3],
        context,
    }
}

/// A 64-bit context that starts at `rip` on the tables of `cr3`: flat segments, interrupts off, no stack.
pub const fn long_mode(rip: u64, cr3: u64, [cr0, cr4, efer]: [u64; 3]) -> InitialVpContext {
    const fn flat(selector: u16, limit: u32, attributes: u16) -> SegmentRegister {
        SegmentRegister {
            base: 0,
            limit,
            selector,
            attributes,
        }
    }
    const NO_TABLE: TableRegister = TableRegister {
        pad: [0; 3],
        limit: 0,
        base: 0,
    };
    // Present, writable, accessed, 32-bit, 4 KiB granularity.
    let data = flat(0x10, u32::MAX, 0xC093);
    InitialVpContext {
        rip,
        rsp: 0,
        rflags: 2,
        cs: flat(0x08, u32::MAX, 0xA09B),
        ds: data,
        es: data,
        fs: data,
        gs: data,
        ss: data,
        // A busy TSS, an LDT.
        tr: flat(0, 0xFFFF, 0x8B),
        ldtr: flat(0, 0xFFFF, 0x82),
        idtr: NO_TABLE,
        gdtr: NO_TABLE,
        efer: efer & EFER_KNOWN,
        cr0,
        cr3,
        cr4: cr4 & CR4_KNOWN,
        pat: PAT,
    }
}

/// Which processor of `processors` is to start, and its registers. Errors: the call's status.
pub fn parse(
    control: u64,
    input: &StartVpInput,
    processors: usize,
) -> Result<(usize, InitialVpContext), u16> {
    let index = input.vp_index as usize;
    if control != CONTROL {
        return Err(HV_STATUS_INVALID_HYPERCALL_INPUT);
    }
    if input.partition != PARTITION_SELF {
        return Err(HV_STATUS_INVALID_PARTITION_ID);
    }
    if input.reserved != [0; 3] {
        return Err(HV_STATUS_INVALID_PARAMETER);
    }
    if index >= processors {
        return Err(HV_STATUS_INVALID_VP_INDEX);
    }
    if input.target_vtl != 0 {
        return Err(HV_STATUS_INVALID_VTL_STATE);
    }
    match fits_together(&input.context) {
        true => Ok((index, input.context)),
        false => Err(HV_STATUS_INVALID_REGISTER_VALUE),
    }
}

/// Whether a processor could hold these registers.
fn fits_together(context: &InitialVpContext) -> bool {
    let InitialVpContext {
        efer,
        cr0,
        cr3,
        cr4,
        ..
    } = *context;
    let paging = cr0 & CR0_PG != 0;
    let long = efer & efer::LMA != 0;
    let control = cr0 >> 32 == 0
        && (!paging || cr0 & CR0_PE != 0)
        && (cr0 & CR0_NW == 0 || cr0 & CR0_CD != 0)
        && cr3 >> ADDRESS_BITS == 0
        && cr4 & !CR4_KNOWN == 0
        && efer & !EFER_KNOWN == 0;
    let mode = long == (paging && efer & efer::LME != 0) && (!long || cr4 & CR4_PAE != 0);
    let types = context.pat.to_le_bytes();
    let memory = types.iter().all(|kind| matches!(kind, 0 | 1 | 4..=7));
    control && mode && memory && context.rflags & RFLAGS_ZERO == 0 && starts(context, long)
}

/// Whether code is where the processor starts.
fn starts(context: &InitialVpContext, long: bool) -> bool {
    let SegmentRegister { attributes, .. } = context.cs;
    let wide = attributes & LONG != 0;
    let code = attributes & (PRESENT | CODE) == PRESENT | CODE && (long || !wide);
    let rip = context.rip;
    let canonical = rip.wrapping_shl(16).cast_signed() >> 16 == rip.cast_signed();
    let reached = if wide { canonical } else { rip >> 32 == 0 };
    // Real mode takes every segment.
    let real = context.cr0 & CR0_PE == 0;
    reached && (real || code && attributes & (LONG | DEFAULT_32) != LONG | DEFAULT_32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> InitialVpContext {
        // EFER as SNP shows it, with SVME.
        let efer = efer::LME | efer::LMA | efer::NXE | efer::SVME;
        long_mode(0xFFFF_FFFF_8000_1000, 0x17_0000, [0x8001_0031, 0x60, efer])
    }

    fn parsed(change: impl FnOnce(&mut StartVpInput)) -> Result<(usize, InitialVpContext), u16> {
        let mut request = input(1, context());
        change(&mut request);
        parse(CONTROL, &request, 2)
    }

    #[test]
    fn a_start_in_long_or_real_mode_is_taken() {
        assert_eq!(parsed(|_| {}), Ok((1, context())));
        let real = InitialVpContext {
            cr0: 0x10,
            pat: 0x0007_0406_0007_0406,
            rflags: 2,
            ..InitialVpContext::default()
        };
        assert_eq!(parsed(|r| r.context = real), Ok((1, real)));
    }

    #[test]
    fn what_names_somebody_else_has_a_status_each() {
        let request = input(1, context());
        for bad in [
            CONTROL | HYPERCALL_FAST,
            CONTROL | 1 << 32,
            CONTROL | 1 << 27,
        ] {
            assert_eq!(
                parse(bad, &request, 2),
                Err(HV_STATUS_INVALID_HYPERCALL_INPUT)
            );
        }
        assert_eq!(
            parsed(|r| r.partition = 1),
            Err(HV_STATUS_INVALID_PARTITION_ID)
        );
        assert_eq!(
            parsed(|r| r.reserved[2] = 1),
            Err(HV_STATUS_INVALID_PARAMETER)
        );
        assert_eq!(parsed(|r| r.vp_index = 2), Err(HV_STATUS_INVALID_VP_INDEX));
        assert_eq!(
            parsed(|r| r.target_vtl = 1),
            Err(HV_STATUS_INVALID_VTL_STATE)
        );
    }

    #[test]
    fn registers_that_do_not_fit_together_are_refused() {
        let breaks: [fn(&mut InitialVpContext); 14] = [
            |c| c.cr0 |= 1 << 32,
            |c| c.cr0 &= !CR0_PE,
            |c| c.cr0 |= CR0_NW,
            |c| c.cr0 &= !CR0_PG,
            |c| c.cr3 = 1 << 52,
            |c| c.cr4 &= !CR4_PAE,
            |c| c.cr4 |= 1 << 13,
            |c| c.efer |= efer::SVME,
            |c| c.efer &= !efer::LME,
            |c| c.pat = 2,
            |c| c.rflags |= 1 << 17,
            |c| c.rip = 1 << 47,
            |c| c.cs.attributes = 0xC093,
            |c| c.cs.attributes |= DEFAULT_32,
        ];
        for (n, change) in breaks.into_iter().enumerate() {
            let refused = parsed(|request| change(&mut request.context));
            assert_eq!(refused, Err(HV_STATUS_INVALID_REGISTER_VALUE), "{n}");
        }
    }
}
