//! Hyper-V's registers of the lower guest. Sources: TLFS 6.0b, 3.13 (hypercall page), 12 (clocks),
//! appendix F; HV_X64_MSR_TSC_INVARIANT_CONTROL: Linux `arch/x86/include/asm/hyperv-tlfs.h`.

use crate::context::Paravisor;
use crate::cpuid;
use crate::msr::gp;
use crate::synic::Controller;
use core::sync::atomic::{AtomicU64, Ordering};
use tessera_defs::hyperv as hv;
use tessera_defs::x86::PAGE_SIZE;
use tessera_hw::instr;
use tessera_protocol::error::Result;

/// Enable bit of a register that names a page.
const ENABLE: u64 = 1 << 0;
/// The reference counter's units a second (100 ns).
const REFERENCE: u64 = 10_000_000;
/// RET.
const RETURN: u8 = 0xC3;

/// What the guest wrote on one processor.
#[derive(Default)]
pub struct Synthetic {
    assist: u64,
    invariant: u64,
    /// Its synthetic interrupt controller.
    pub controller: Controller,
}

/// Ticks a second of time stamp and APIC timer; 0 where the host has no such registers.
static TSC_FREQUENCY: AtomicU64 = AtomicU64::new(0);
static APIC_FREQUENCY: AtomicU64 = AtomicU64::new(0);

/// Asks the host for its frequencies; it has all clocks anyway. Once, before the guest runs.
pub fn ask(paravisor: &mut Paravisor<'_>) {
    let tsc = paravisor.host.rdmsr(hv::MSR_TSC_FREQUENCY).unwrap_or(0);
    let apic = paravisor.host.rdmsr(hv::MSR_APIC_FREQUENCY).unwrap_or(0);
    if tsc != 0 && apic != 0 {
        APIC_FREQUENCY.store(apic, Ordering::Relaxed);
        TSC_FREQUENCY.store(tsc, Ordering::Relaxed);
    }
}

/// There are clocks whose speed is known.
pub fn has_clocks() -> bool {
    TSC_FREQUENCY.load(Ordering::Relaxed) != 0
}

/// Time since the time stamp was 0, in 100 ns.
fn reference() -> u64 {
    let (now, second) = (instr::rdtsc(), TSC_FREQUENCY.load(Ordering::Relaxed).max(1));
    now / second * REFERENCE + now % second * REFERENCE / second
}

/// RDMSR; #GP for a register that is not here.
pub fn read(paravisor: &mut Paravisor<'_>, msr: u32) -> Result<u64> {
    let synthetic = &paravisor.synthetic;
    let clocks = has_clocks();
    Ok(match msr {
        hv::MSR_ISOLATION_CONFIG => {
            let [eax, ebx] = cpuid::isolation(paravisor.mode);
            u64::from(eax) | u64::from(ebx) << 32
        }
        hv::MSR_GUEST_OS_ID => paravisor.partition.lock().guest_os_id,
        hv::MSR_HYPERCALL => paravisor.partition.lock().hypercall,
        hv::MSR_VP_INDEX => paravisor.index as u64,
        hv::MSR_VP_ASSIST_PAGE => synthetic.assist,
        hv::MSR_TIME_REF_COUNT if clocks => reference(),
        hv::MSR_TSC_FREQUENCY if clocks => TSC_FREQUENCY.load(Ordering::Relaxed),
        hv::MSR_APIC_FREQUENCY if clocks => APIC_FREQUENCY.load(Ordering::Relaxed),
        hv::MSR_TSC_INVARIANT_CONTROL if clocks => synthetic.invariant,
        _ if paravisor.messages.is_some() => {
            return synthetic.controller.read(msr).map_or_else(gp, Ok);
        }
        _ => return gp(),
    })
}

/// WRMSR; #GP for a register or a value that is not here.
pub fn write(paravisor: &mut Paravisor<'_>, msr: u32, value: u64) -> Result<()> {
    match msr {
        hv::MSR_GUEST_OS_ID => paravisor.partition.lock().guest_os_id = value,
        hv::MSR_HYPERCALL => return hypercall_page(paravisor, value),
        // An overlay page of zeros; nothing is ever told in it (no lazy EOI is offered).
        hv::MSR_VP_ASSIST_PAGE => {
            if value & ENABLE != 0 && paravisor.synthetic.assist & ENABLE == 0 {
                overlay(paravisor, value, &[])?;
            }
            paravisor.synthetic.assist = value;
        }
        hv::MSR_TSC_INVARIANT_CONTROL if has_clocks() && value <= 1 => {
            paravisor.synthetic.invariant = value;
        }
        _ if paravisor.messages.is_some() => {
            if paravisor.synthetic.controller.names_page(msr, value) {
                overlay(paravisor, value, &[])?;
            }
            let done = paravisor.synthetic.controller.write(msr, value);
            return done.map_or_else(gp, Ok);
        }
        _ => return gp(),
    }
    Ok(())
}

/// The page holds the way into this paravisor: the hypercall instruction, and RET. It is private,
/// and written into the guest's own page instead of laid over it.
fn hypercall_page(paravisor: &mut Paravisor<'_>, value: u64) -> Result<()> {
    // Bit 1 locks the register; without an identity there is no page (TLFS 3.13).
    let partition = paravisor.partition.lock();
    let (identity, locked) = (partition.guest_os_id, partition.hypercall & 2 != 0);
    drop(partition);
    if locked {
        return gp();
    }
    let enabled = if identity == 0 {
        value & !ENABLE
    } else {
        value
    };
    if enabled & ENABLE != 0 {
        let [a, b, c] = paravisor.lower.hypercall_instruction();
        overlay(paravisor, enabled, &[a, b, c, RETURN])?;
    }
    paravisor.partition.lock().hypercall = enabled;
    Ok(())
}

/// Fills the page that `value` names: `code`, then zeros.
fn overlay(paravisor: &mut Paravisor<'_>, value: u64, code: &[u8]) -> Result<()> {
    let gpa = value & !(PAGE_SIZE - 1);
    let partition = &mut *paravisor.partition.lock();
    if !paravisor.is_guest_ram(partition, gpa) {
        return gp();
    }
    let mut page = [0u8; PAGE_SIZE as usize];
    page[..code.len()].copy_from_slice(code);
    partition.memory.write(gpa, &page);
    Ok(())
}
