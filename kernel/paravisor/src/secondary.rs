//! The paravisor on further processors. SNP: a save area of VMPL 0 that the host is told to run (GHCB AP
//! creation; HvCallStartVirtualProcessor on a Hyper-V-like host). TDX: the processor waits in the
//! reset page for its word.
#![allow(unsafe_code)] // machine entry, and the ports of a new processor

use crate::context::{Paravisor, ghcb, own_mode};
use crate::lower::LowerGuest;
use crate::partition::{self, Partition};
use crate::snp::{vmpl2::Vmpl2, vmsa};
use crate::tdx::l2::L2Vm;
use crate::{run, stacks, synic, traps};
use core::arch::naked_asm;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use tessera_defs::hyperv::{GUEST_OS_ID, MSR_GUEST_OS_ID};
use tessera_defs::mode::{HostProfile, Mode};
use tessera_defs::refusal::Refusal;
use tessera_defs::start_vp::InitialVpContext;
use tessera_defs::x86::{MSR_APIC_BASE, x2apic};
use tessera_handoff::layout::{PARAVISOR_VPS, RESET_PAGE, RESET_TABLES, STACK_TOP, WAKE, room};
use tessera_hw::ghcb_page::{self, GhcbPage};
use tessera_hw::host::{GhcbMsrPort, RmpPort, TdcallPort, VirtualApicPort};
use tessera_hw::instr;
use tessera_hw::shared::SharedPage;
use tessera_isolation::strategy::ghcb::{GhcbCalls, PscVisibility};
use tessera_isolation::strategy::tdvmcall::{AcceptVisibility, VmcallCalls};
use tessera_isolation::strategy::traits::{HostCalls, PageVisibility};
use tessera_objects::tables::Size;
use tessera_protocol::ghcb::{hypercall, request};
use tessera_protocol::{ghcb_msr, hyperv, rmp, start_vp};
use zerocopy::IntoBytes;

/// CR3 of the paravisor.
static TABLES: AtomicU64 = AtomicU64::new(0);
/// What the hand-over said of mode, host profile and memory.
static MODE: AtomicU32 = AtomicU32::new(0);
static PROFILE: AtomicU32 = AtomicU32::new(0);
static COMES_PRIVATE: AtomicBool = AtomicBool::new(false);
/// Rooms that somebody began to furnish, and those that are ready.
static TRIED: [AtomicBool; PARAVISOR_VPS] = [const { AtomicBool::new(false) }; PARAVISOR_VPS];
static FURNISHED: [AtomicBool; PARAVISOR_VPS] = [const { AtomicBool::new(false) }; PARAVISOR_VPS];
/// Which processors were asked for. The first one runs.
static STARTED: [AtomicBool; PARAVISOR_VPS] = [const { AtomicBool::new(false) }; PARAVISOR_VPS];

/// Keeps what a further processor will need of the hand-over. Called once.
pub fn prepare(mode: Mode, profile: u32, comes_private: bool) {
    // SAFETY: the first processor's is the stub's; each other one's is shared, registered and mapped
    // before it makes an exchange.
    unsafe { ghcb_page::one_a_processor(|| ghcb(stacks::current())) }
    if own_mode(mode) == Mode::Tdx {
        // Beside all RAM: where the others wait.
        let memory = &mut partition::get().lock().memory;
        memory.map(RESET_TABLES, RESET_PAGE + 4096, Size::Small);
    }
    TABLES.store(instr::cr3(), Ordering::Relaxed);
    MODE.store(mode as u32, Ordering::Relaxed);
    PROFILE.store(profile, Ordering::Relaxed);
    COMES_PRIVATE.store(comes_private, Ordering::Relaxed);
    STARTED[0].store(true, Ordering::Release);
}

/// Starts the paravisor on processor `index`, once. Errors: who refused.
pub fn ensure(
    paravisor: &mut Paravisor<'_>,
    partition: &mut Partition,
    index: usize,
) -> Result<(), Refusal> {
    // The partition's lock is held, so nobody else starts it now.
    if STARTED[index].load(Ordering::Relaxed) {
        return Ok(());
    }
    let snp = own_mode(paravisor.mode) == Mode::Snp;
    match TRIED[index].swap(true, Ordering::Relaxed) {
        // A room that is furnished half is not touched again.
        true if !FURNISHED[index].load(Ordering::Relaxed) => {
            return Err(Refusal::VisibilityRefused);
        }
        true => {}
        false => {
            partition.memory.map_stack(index)?;
            if snp {
                furnish(paravisor, partition, index)?;
            }
        }
    }
    FURNISHED[index].store(true, Ordering::Relaxed);
    match snp {
        true => create(paravisor, index)?,
        false => wake(partition, index),
    }
    STARTED[index].store(true, Ordering::Relaxed);
    Ok(())
}

/// TDX: the processor's word is its entry. The tables on which it waits get our upper half first.
fn wake(partition: &Partition, index: usize) {
    let memory = &partition.memory;
    let root = TABLES.load(Ordering::Relaxed) & 0x000F_FFFF_FFFF_F000;
    for entry in (root + 2048..root + 4096).step_by(8) {
        let copy: u64 = memory.read(entry);
        memory.write(RESET_TABLES + entry - root, &copy);
    }
    memory.write_once(WAKE + index as u64 * 8, secondary_entry as *const () as u64);
}

/// SNP: has the host run a save area.
fn create(paravisor: &mut Paravisor<'_>, index: usize) -> Result<(), Refusal> {
    let area = room::of(index) + room::VMSA;
    // SAFETY: this processor's GHCB is shared, registered and mapped there.
    let mut own = unsafe { own_ghcb(paravisor.index) };
    let asked = match HostProfile::HyperV as u32 == PROFILE.load(Ordering::Relaxed) {
        true => start_by_call(paravisor, &mut own, index, area),
        false => request::ap_create(&mut own, index as u32, 0, area, vmsa::OWN_FEATURES, false),
    };
    asked.map_err(|_| Refusal::LowerContextRefused)
}

/// SNP: shares a processor's GHCB, and fills its save area in.
fn furnish(
    paravisor: &mut Paravisor<'_>,
    partition: &mut Partition,
    index: usize,
) -> Result<(), Refusal> {
    let (area, (_, page)) = (room::of(index) + room::VMSA, ghcb(index));
    let pages = crate::grant::pages(page, page + 4096);
    paravisor.visibility.rescind(pages)?;
    partition.memory.forget(page)?;
    paravisor.visibility.share(pages)?;
    partition.memory.map_shared(page)?;
    let entry = secondary_entry as *const () as u64;
    let state = vmsa::own(index, entry, TABLES.load(Ordering::Relaxed));
    partition.memory.write(area, &state);
    // SAFETY: VMPL 0; the page is a room's own, and VMPL 1, which nobody runs, gets nothing.
    let mut port = unsafe { RmpPort::new() };
    rmp::rmpadjust(&mut port, crate::memory::virt(area), false, 1, 0, true)
        .map_err(|_| Refusal::RmpadjustFailed)
}

/// Hyper-V: the save area's address, with bit 0 set, stands for the registers (Linux
/// `arch/x86/hyperv/ivm.c`). The input travels in the GHCB.
fn start_by_call(
    paravisor: &mut Paravisor<'_>,
    own: &mut GhcbPage,
    index: usize,
    area: u64,
) -> tessera_protocol::error::Result<()> {
    let context = InitialVpContext {
        rip: area | 1,
        ..InitialVpContext::default()
    };
    // Hypercalls are served to those who say who they are (TLFS 3.13).
    paravisor.host.wrmsr(MSR_GUEST_OS_ID, GUEST_OS_ID)?;
    let input = start_vp::input(index as u32, context);
    let result = hypercall::hypercall(own, start_vp::CONTROL, input.as_bytes(), 0)?;
    hyperv::check(start_vp::CONTROL, result)
}

/// # Safety
/// On processor `index`, whose GHCB is shared, registered and mapped.
unsafe fn own_ghcb(index: usize) -> GhcbPage {
    let (virt, gpa) = ghcb(index);
    // SAFETY: the caller's promise.
    unsafe { GhcbPage::new(SharedPage::new(virt, gpa)) }
}

/// Where a further processor starts: RSI its index, no stack.
#[unsafe(naked)]
unsafe extern "C" fn secondary_entry() -> ! {
    naked_asm!(
        "mov rax, [rip + {tables}]",
        "mov cr3, rax",
        "mov edi, esi",
        "imul rsi, rdi, {slot}",
        "mov rsp, {top}",
        "sub rsp, rsi",
        "xor ebp, ebp",
        "cld",
        "call {main}",
        "ud2",
        tables = sym TABLES,
        slot = const stacks::SLOT,
        top = const STACK_TOP as i64,
        main = sym secondary_main,
    )
}

extern "sysv64" fn secondary_main(index: u64) -> ! {
    let index = index as usize;
    traps::install(index);
    let mode = Mode::from_u32(MODE.load(Ordering::Relaxed)).unwrap_or(Mode::None);
    match own_mode(mode) {
        Mode::Tdx => {
            // SAFETY: L1 of a TD.
            let (call, apic, accept) =
                unsafe { (TdcallPort::new(), VirtualApicPort::new(), TdcallPort::new()) };
            let host = &mut VmcallCalls(call, apic);
            start(
                mode,
                index,
                host,
                &mut AcceptVisibility(accept),
                &mut L2Vm::new(index),
            )
        }
        _ => {
            // SAFETY: VMPL 0; whoever started this processor shared and mapped its GHCB.
            let (mut msr, ghcb, rmp) =
                unsafe { (GhcbMsrPort::new(), own_ghcb(index), RmpPort::new()) };
            if ghcb_msr::register_ghcb(&mut msr, ghcb.gpa()).is_err() {
                crate::door::refuse(Refusal::GhcbRegistrationRefused);
            }
            let visibility = &mut PscVisibility {
                ghcb: ghcb.handle(),
                rmp,
                comes_private: COMES_PRIVATE.load(Ordering::Relaxed),
            };
            let lower = &mut Vmpl2::new(index);
            start(mode, index, &mut GhcbCalls(ghcb), visibility, lower)
        }
    }
}

fn start(
    mode: Mode,
    index: usize,
    host: &mut dyn HostCalls,
    visibility: &mut dyn PageVisibility,
    lower: &mut dyn LowerGuest,
) -> ! {
    let mut paravisor = Paravisor::new(mode, index, host, visibility, lower);
    if let Err(refusal) = synic::open(&mut paravisor) {
        crate::door::refuse(refusal);
    }
    listen(&mut paravisor);
    run::forever(&mut paravisor)
}

/// The paravisor's own local APIC: x2APIC, so that others can interrupt this processor.
pub fn listen(paravisor: &mut Paravisor<'_>) {
    const ON: u64 = x2apic::BASE_EN | x2apic::BASE_EXTD;
    let host = &mut paravisor.host;
    let done = match own_mode(paravisor.mode) {
        // A TD's is never anything else.
        Mode::Tdx => Ok(()),
        _ => host.rdmsr(MSR_APIC_BASE).and_then(|base| match base & ON {
            ON => Ok(()),
            _ => host.wrmsr(MSR_APIC_BASE, base | ON),
        }),
    };
    let done = done.and_then(|()| host.wrmsr(x2apic::SIVR, 1 << 8 | u64::from(traps::SPURIOUS)));
    if done.is_err() {
        crate::door::refuse(paravisor.host_fault());
    }
}
