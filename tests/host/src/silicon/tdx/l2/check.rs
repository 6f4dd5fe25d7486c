//! Whether a processor would enter this guest state. Source: Intel SDM vol. 3, 27.3.1 (an L2 VM is an
//! unrestricted guest). Modelled is long mode, and code without paging below 640 KiB: there QEMU
//! uses no nested tables, and only those frames stand at their own addresses (`memory::frames`).

use super::{event::Entry, segment, vmcs::Vmcs};
use tessera_defs::{
    tdx::tdcall::L2EnterState,
    vmx::{SEGMENT_UNUSABLE, control::entry, interruptibility, vmcs},
    x86::efer,
};

/// End of what real mode can name, but for the video memory.
const LOW_END: u64 = 0xA_0000;
const CR0_PE: u64 = 1 << 0;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const RFLAGS_IF: u64 = 1 << 9;
const RFLAGS_VM: u64 = 1 << 17;
/// Bits 63:22, 15, 5, 3 of RFLAGS.
const RFLAGS_ZERO: u64 = !0x3F_FFFF | 1 << 15 | 1 << 5 | 1 << 3;
/// Bytes of a guest-physical address.
const PHYSICAL: u32 = 48;

/// Why the VM is not entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Exit to L1: invalid guest state.
    Invalid,
    /// A processor would enter it; this host cannot.
    NotModelled(&'static str),
}

/// All checks; what fails first decides.
pub fn guest_state(
    fields: &Vmcs,
    state: &L2EnterState,
    event: Option<&Entry>,
) -> Result<(), Refused> {
    let long = control_registers(fields)?;
    valid(msrs(fields))?;
    let flags = state.rflags;
    valid(flags & 2 != 0 && flags & RFLAGS_ZERO == 0)?;
    valid(flags & RFLAGS_VM == 0 || !long)?;
    valid(segments(fields, long))?;
    let at = segment::base(fields, segment::CS).wrapping_add(state.rip);
    if !long && (flags & RFLAGS_VM != 0 || at >= LOW_END) {
        return Err(Refused::NotModelled("l2-without-paging"));
    }
    let code64 = long && segment::rights(fields, segment::CS) & 1 << 13 != 0;
    valid(if code64 {
        canonical(state.rip)
    } else {
        state.rip >> 32 == 0
    })?;
    valid(not_blocked(fields, flags, event))
}

fn valid(holds: bool) -> Result<(), Refused> {
    holds.then_some(()).ok_or(Refused::Invalid)
}

/// Whether the guest is in long mode.
fn control_registers(fields: &Vmcs) -> Result<bool, Refused> {
    let (cr0, cr4) = (fields.get(vmcs::GUEST_CR0), fields.get(vmcs::GUEST_CR4));
    let features = fields.get(vmcs::GUEST_EFER);
    let (paging, long) = (cr0 & CR0_PG != 0, features & efer::LMA != 0);
    valid(!paging || cr0 & CR0_PE != 0)?;
    let wanted = fields.get(vmcs::ENTRY_CONTROLS) as u32 & entry::IA32E != 0;
    valid(wanted == long)?;
    valid(!long || paging && cr4 & CR4_PAE != 0)?;
    valid(!paging || long == (features & efer::LME != 0))?;
    valid(fields.get(vmcs::GUEST_CR3) >> PHYSICAL == 0)?;
    if paging && !long {
        return Err(Refused::NotModelled("l2-without-long-mode"));
    }
    Ok(paging && long)
}

fn msrs(fields: &Vmcs) -> bool {
    let known = efer::SCE | efer::LME | efer::LMA | efer::NXE;
    let types = fields.get(vmcs::GUEST_PAT).to_le_bytes();
    let pat = types.iter().all(|kind| matches!(kind, 0 | 1 | 4..=7));
    let sysenter = [vmcs::GUEST_SYSENTER_ESP, vmcs::GUEST_SYSENTER_EIP];
    fields.get(vmcs::GUEST_EFER) & !known == 0
        && pat
        && fields.get(vmcs::GUEST_DR7) >> 32 == 0
        && sysenter.iter().all(|field| canonical(fields.get(*field)))
}

fn segments(fields: &Vmcs, long: bool) -> bool {
    let of = |register| segment::rights(fields, register);
    let usable = |rights: u32| rights & SEGMENT_UNUSABLE == 0;
    let (cs, ss, tr) = (of(segment::CS), of(segment::SS), of(segment::TR));
    let dpl = |rights: u32| rights >> 5 & 3;
    // Code, accessed; L and D not both; conforming code no more privileged than SS.
    let privileges = match cs & 0xF {
        // Data, as real mode may have it.
        3 => dpl(cs) == 0,
        kind if kind & 4 == 0 => dpl(cs) == dpl(ss),
        _ => dpl(cs) <= dpl(ss),
    };
    let kind = cs & 0x99 == 0x99 || cs & 0x9F == 0x93;
    let code = usable(cs) && kind && cs >> 13 & 3 != 3 && privileges;
    let stack = !usable(ss) || ss & 0x9B == 0x93;
    let data = [segment::DS, segment::ES, segment::FS, segment::GS];
    let data = data.map(of);
    let data = data
        .iter()
        .all(|rights| !usable(*rights) || *rights & 0x91 == 0x91);
    let all = [
        segment::CS,
        segment::SS,
        segment::DS,
        segment::ES,
        segment::FS,
        segment::GS,
    ];
    let granular = all.iter().all(|register| {
        let rights = of(*register);
        !usable(rights) || granularity(rights, segment::limit(fields, *register))
    });
    // A busy TSS in the GDT, of 64 bits in long mode.
    let busy = tr & 0x9F == 0x8B || !long && tr & 0x9F == 0x83;
    let task = usable(tr) && busy && segment::selector(fields, segment::TR) & 4 == 0;
    let ldtr = of(segment::LDTR);
    let local = !usable(ldtr) || ldtr & 0x9F == 0x82;
    let bases = [segment::FS, segment::GS, segment::TR];
    let bases = bases
        .iter()
        .all(|register| canonical(segment::base(fields, *register)));
    let tables = [
        (vmcs::GUEST_GDTR_BASE, vmcs::GUEST_GDTR_LIMIT),
        (vmcs::GUEST_IDTR_BASE, vmcs::GUEST_IDTR_LIMIT),
    ];
    let tables = tables
        .iter()
        .all(|(base, limit)| canonical(fields.get(*base)) && fields.get(*limit) >> 16 == 0);
    let low = segment::base(fields, segment::CS) >> 32 == 0;
    code && stack && data && granular && task && local && bases && tables && low
}

/// Bits 11:0 of a limit that are not all 1 need G = 0, and bits 31:20 that are not all 0 need
/// G = 1. Reserved bits are 0.
fn granularity(rights: u32, limit: u32) -> bool {
    let pages = rights & 1 << 15 != 0;
    (limit & 0xFFF == 0xFFF || !pages) && (limit >> 20 == 0 || pages) && rights & 0xFFFE_0F00 == 0
}

fn not_blocked(fields: &Vmcs, flags: u64, event: Option<&Entry>) -> bool {
    let state = fields.get(vmcs::GUEST_INTERRUPTIBILITY) as u32;
    let (sti, mov) = (interruptibility::STI, interruptibility::MOV_SS);
    let known = sti | mov | interruptibility::NMI;
    let enabled = flags & RFLAGS_IF != 0;
    let consistent =
        state & !known == 0 && state & (sti | mov) != sti | mov && (state & sti == 0 || enabled);
    let external =
        event.is_none_or(|event| !event.external() || enabled && state & (sti | mov) == 0);
    consistent && external
}

/// Bits 63:47 are equal.
pub fn canonical(address: u64) -> bool {
    matches!(address as i64 >> 47, 0 | -1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tessera_defs::vmx::event;

    /// A state that can be entered: 64-bit, ring 0.
    pub fn good() -> (Vmcs, L2EnterState) {
        let mut fields = Vmcs::new(u64::MAX);
        fields.set(vmcs::GUEST_CR0, 0x8001_0033);
        fields.set(vmcs::GUEST_CR4, 0x2060);
        fields.set(vmcs::GUEST_EFER, 0xD01);
        let controls = fields.get(vmcs::ENTRY_CONTROLS) | u64::from(entry::IA32E);
        fields.set(vmcs::ENTRY_CONTROLS, controls);
        fields.set(vmcs::GUEST_CS_AR, 0xA09B);
        let state = L2EnterState {
            rflags: 2,
            rip: 0x1000,
            ..L2EnterState::default()
        };
        (fields, state)
    }

    fn refused(change: impl Fn(&mut Vmcs, &mut L2EnterState)) -> Result<(), Refused> {
        let (mut fields, mut state) = good();
        change(&mut fields, &mut state);
        guest_state(&fields, &state, None)
    }

    #[test]
    fn a_good_state_is_entered_and_the_reset_state_cannot_be_shown() {
        assert_eq!(refused(|_, _| ()), Ok(()));
        let state = L2EnterState {
            rflags: 2,
            rip: 0xFFFF_FFF0,
            ..L2EnterState::default()
        };
        let reset = guest_state(&Vmcs::new(u64::MAX), &state, None);
        assert_eq!(reset, Err(Refused::NotModelled("l2-without-paging")));
    }

    #[test]
    fn real_mode_is_entered_below_640_kib() {
        let (mut fields, mut state) = good();
        fields.set(vmcs::GUEST_CR0, 0x30);
        fields.set(vmcs::GUEST_CR4, 0x2040);
        fields.set(vmcs::GUEST_EFER, 0x801);
        let controls = fields.get(vmcs::ENTRY_CONTROLS) & !u64::from(entry::IA32E);
        fields.set(vmcs::ENTRY_CONTROLS, controls);
        for (rights, limit, value) in [
            (vmcs::GUEST_CS_AR, vmcs::GUEST_CS_LIMIT, 0x9B),
            (vmcs::GUEST_DS_AR, vmcs::GUEST_DS_LIMIT, 0x93),
            (vmcs::GUEST_SS_AR, vmcs::GUEST_SS_LIMIT, 0x93),
        ] {
            fields.set(rights, value);
            fields.set(limit, 0xFFFF);
        }
        fields.set(vmcs::GUEST_CS_BASE, 0x9_0000);
        state.rip = 0;
        assert_eq!(guest_state(&fields, &state, None), Ok(()));
        fields.set(vmcs::GUEST_TR_AR, 0x83);
        assert_eq!(guest_state(&fields, &state, None), Ok(()));
        fields.set(vmcs::GUEST_CS_BASE, 0xF_0000);
        let high = guest_state(&fields, &state, None);
        assert_eq!(high, Err(Refused::NotModelled("l2-without-paging")));
        fields.set(vmcs::GUEST_CS_AR, 0x92);
        assert_eq!(guest_state(&fields, &state, None), Err(Refused::Invalid));
    }

    #[test]
    fn each_of_these_is_invalid() {
        let set = |encoding: u32, value: u64| refused(move |fields, _| fields.set(encoding, value));
        for (encoding, value) in [
            (vmcs::GUEST_CR0, 0x8001_0032),
            (vmcs::GUEST_CR4, 0x2040),
            (vmcs::GUEST_EFER, 0xC01),
            (vmcs::ENTRY_CONTROLS, 0),
            (vmcs::GUEST_CR3, 1 << 48),
            (vmcs::GUEST_PAT, 0x0007_0406_0007_0402),
            (vmcs::GUEST_DR7, 1 << 32),
            (vmcs::GUEST_CS_AR, 0xE09B),
            (vmcs::GUEST_CS_AR, 0xA09A),
            (vmcs::GUEST_CS_AR, 0x1_0000),
            (vmcs::GUEST_SS_AR, 0xC0F3),
            (vmcs::GUEST_DS_LIMIT, 0x1_0000),
            (vmcs::GUEST_TR_AR, 0x89),
            (vmcs::GUEST_LDTR_AR, 0x8B),
            (vmcs::GUEST_GS_BASE, 1 << 47),
            (vmcs::GUEST_IDTR_LIMIT, 0x1_0000),
            (vmcs::GUEST_INTERRUPTIBILITY, 1),
            (vmcs::GUEST_INTERRUPTIBILITY, 1 << 5),
        ] {
            let end = set(encoding, value);
            assert_eq!(end, Err(Refused::Invalid), "{encoding:#x} {value:#x}");
        }
        let flags = refused(|_, state| state.rflags = 0);
        assert_eq!(flags, Err(Refused::Invalid));
        let high = refused(|_, state| state.rip = 1 << 47);
        assert_eq!(high, Err(Refused::Invalid));
    }

    #[test]
    fn an_interrupt_needs_the_flag() {
        let (fields, mut state) = good();
        let event = Entry {
            info: event::VALID | 0x20,
            error: 0,
            length: 0,
        };
        let run = |state: &L2EnterState| guest_state(&fields, state, Some(&event));
        assert_eq!(run(&state), Err(Refused::Invalid));
        state.rflags = 0x202;
        assert_eq!(run(&state), Ok(()));
    }
}
