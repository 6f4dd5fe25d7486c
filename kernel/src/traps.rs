//! Traps: exceptions that stand for host calls, the timer, system calls; all else is refused.
#![allow(unsafe_code)] // installs the processor's tables, once

use crate::pages::Touched;
use crate::{
    apic, clock, cpu, host, interrupts, process, processors, stacks, syscall, timer, windows,
};
use tessera_defs::refusal::Refusal;
use tessera_defs::x86::vector;
use tessera_handoff::layout::{SHARED_MAP, STACK_TOP};
use tessera_hw::gdt::Segments;
use tessera_hw::idt::Idt;
use tessera_hw::trap::{self, TrapFrame};
use tessera_hw::user::CpuLocal;
use tessera_hw::{instr, probe, protect};
use tessera_objects::system::cpu::CPUS;
use tessera_objects::system::mapping::Touch;
use tessera_protocol::error::{Error, HostFault};
use tessera_protocol::exception::event::{Event, NotServed};
use tessera_protocol::exception::{serve, vc};
use tessera_protocol::insn;

/// Guest physical addresses end below the isolation bits.
const SHARED_LEN: u64 = 1 << 46;

static mut SEGMENTS: [Segments; CPUS] = [const { Segments::new() }; CPUS];
static mut TABLE: Idt = Idt::new();
static mut LOCALS: [CpuLocal; CPUS] = [const { CpuLocal::new() }; CPUS];

/// Loads GDT, TSS, IDT and the system-call entry, and turns on SMEP, SMAP, UMIP. Called once, first.
pub fn install() {
    // SAFETY: called once, on the only processor, before anything can trap; each table and
    // stack is used for nothing else.
    unsafe {
        let (segments, table) = (&raw mut SEGMENTS, &raw mut TABLE);
        let local = &raw mut LOCALS;
        (*segments)[0].install(0, stacks::first(STACK_TOP));
        trap::set_handler(handle);
        (*table).install(stacks::ist);
        (*local)[0].install(0, STACK_TOP, syscall::entry);
        protect::enable();
    }
}

/// The same on a further processor, whose stacks `stacks::map` made.
pub fn install_further(number: u8) {
    let slot = usize::from(number);
    let stacks = stacks::further(number);
    // SAFETY: as above; called by the processor of that number, which has tables of its own and shares
    // the IDT.
    unsafe {
        let (segments, table) = (&raw mut SEGMENTS, &raw const TABLE);
        let local = &raw mut LOCALS;
        (*segments)[slot].install(number, stacks);
        (*table).load();
        (*local)[slot].install(number, stacks.ring0, syscall::entry);
        protect::enable();
    }
}

fn handle(frame: &mut TrapFrame) {
    match frame.vector {
        v if v == u64::from(vector::PF) => page_fault(frame),
        _ if frame.forced() => refuse(frame, Refusal::InjectedInterrupt),
        v if v == u64::from(timer::VECTOR) => tick(frame),
        v if v == u64::from(processors::VECTOR) => told(frame),
        // A host can send this vector like any other: then it is in service, and holds back the rest. A
        // spurious one ends nothing: no handler runs inside of another.
        v if v == u64::from(apic::SPURIOUS) => timer::unasked_interrupt(),
        v if v == u64::from(vector::VC) => communication(frame),
        v if v == u64::from(vector::VE) => virtualization(frame),
        v if v < 32 => exception(frame),
        v if interrupts::VECTORS.contains(&v) => interrupt(frame, v),
        v => unasked(frame, v),
    }
}

/// #VC: the host call behind it, if the instruction at RIP is one that asks for it.
fn communication(frame: &mut TrapFrame) {
    let code = match frame.from_user() {
        true => cpu::user_code(frame.rip),
        false => Some(windows::code(frame.rip)),
    };
    // Another processor took the page away meanwhile: the instruction is fetched again, and faults.
    let Some((bytes, len)) = code else { return };
    let bytes = &bytes[..len];
    let device = device(frame, bytes).unwrap_or(u64::MAX);
    let (event, length) = match vc::event(frame.error, bytes, frame, device) {
        Ok((Event::Mmio { gpa: u64::MAX }, _)) => refuse(frame, Refusal::UnexpectedVc),
        Ok(found) => found,
        // The kernel touches only what it accepted: such a page was taken back.
        Err(NotServed::PageNotValidated(_)) => refuse(frame, Refusal::PageRemapped),
        Err(_) => refuse(frame, Refusal::UnexpectedVc),
    };
    serve_event(frame, event, length, Refusal::UnexpectedVc);
}

/// Where the kernel's instruction at RIP reaches a device or a shared page; nothing else of its
/// memory can ask for a host's answer.
fn device(frame: &TrapFrame, bytes: &[u8]) -> Option<u64> {
    let virt = insn::address(bytes, frame).ok()?;
    let gpa = virt.checked_sub(SHARED_MAP)?;
    (!frame.from_user() && gpa < SHARED_LEN).then_some(gpa)
}

/// #VE: as the module below describes it.
fn virtualization(frame: &mut TrapFrame) {
    use tessera_hw::ve::Unserved;
    match tessera_hw::ve::event() {
        Ok((event, length)) => serve_event(frame, event, length, Refusal::UnexpectedVe),
        // The kernel touches only what it accepted: such a page was taken back.
        Err(Unserved::PageNotAccepted) => refuse(frame, Refusal::PageRemapped),
        Err(Unserved::Unknown) => refuse(frame, Refusal::UnexpectedVe),
    }
}

fn serve_event(frame: &mut TrapFrame, event: Event, length: u8, refusal: Refusal) {
    // A process asks for nothing but CPUID; hypercalls above all are not its to make.
    if frame.from_user() && event != Event::Cpuid {
        process::fault(frame);
    }
    let rip = frame.rip;
    let decode = || {
        let (bytes, len) = windows::code(rip);
        insn::decode(&bytes[..len]).map_err(NotServed::from)
    };
    let served = host::with(|host| serve::serve(&mut Via(host), event, length, decode, frame));
    match served {
        Some(Ok(())) => {}
        Some(Err(NotServed::Protocol(Error::Host(HostFault::Inject(vector::GP)))))
            if probe::fix_up(frame) => {}
        Some(Err(NotServed::Protocol(Error::Host(_)))) if matches!(event, Event::Mmio { .. }) => {
            refuse(frame, Refusal::HostCallDenied)
        }
        Some(Err(NotServed::Instruction(_))) => refuse(frame, Refusal::MmioDecodeFailed),
        _ => refuse(frame, refusal),
    }
}

/// `serve` wants a sized service.
struct Via<'a>(&'a mut dyn tessera_isolation::strategy::traits::HostCalls);

impl serve::Service for Via<'_> {
    fn cpuid(&mut self, leaf: u32, subleaf: u32) -> tessera_protocol::error::Result<[u32; 4]> {
        self.0.cpuid(leaf, subleaf)
    }
    fn rdmsr(&mut self, msr: u32) -> tessera_protocol::error::Result<u64> {
        self.0.rdmsr(msr)
    }
    fn wrmsr(&mut self, msr: u32, value: u64) -> tessera_protocol::error::Result<()> {
        self.0.wrmsr(msr, value)
    }
    fn io_in(&mut self, port: u16, size: u8) -> tessera_protocol::error::Result<u32> {
        self.0.io_in(port, size)
    }
    fn io_out(&mut self, port: u16, size: u8, value: u32) -> tessera_protocol::error::Result<()> {
        self.0.io_out(port, size, value)
    }
    fn halt(&mut self) -> tessera_protocol::error::Result<()> {
        self.0.halt()
    }
    fn hypercall(&mut self, c: u64, i: u64, o: u64) -> tessera_protocol::error::Result<u64> {
        self.0.hypercall(c, i, o)
    }
    fn mmio_read(&mut self, gpa: u64, size: u8) -> tessera_protocol::error::Result<u64> {
        self.0.mmio_read(gpa, size)
    }
    fn mmio_write(&mut self, gpa: u64, size: u8, v: u64) -> tessera_protocol::error::Result<()> {
        self.0.mmio_write(gpa, size, v)
    }
}

/// The timer: in ring 3 the thread may lose the processor, in the kernel it ends the idle wait.
fn tick(frame: &TrapFrame) {
    timer::tick();
    let now = clock::now();
    if frame.from_user() {
        cpu::from_user(frame, |kernel| kernel.system.tick(now));
    }
    cpu::kernel().system.tick(now);
}

/// Another processor wants something of this one. In the kernel it only ends the idle wait.
fn told(frame: &TrapFrame) {
    processors::answer();
    apic::end_of_interrupt();
    if frame.from_user() {
        cpu::from_user(frame, |kernel| kernel.system.preempt());
    }
}

/// A page of a process that is not there yet, or not its own yet; all else is an exception like
/// any other. Error code: Intel SDM vol. 3, 4.7.
fn page_fault(frame: &TrapFrame) {
    const WRITE: u64 = 1 << 1;
    const USER: u64 = 1 << 2;
    const RESERVED: u64 = 1 << 3;
    const EXECUTE: u64 = 1 << 4;
    if !frame.from_user() || frame.error & (USER | RESERVED) != USER {
        return exception(frame);
    }
    let touch = match frame.error & (WRITE | EXECUTE) {
        0 => Touch::Read,
        WRITE => Touch::Write,
        _ => Touch::Execute,
    };
    // Before the lock: whoever has it may fault as well, while this processor waits.
    let address = instr::cr2();
    let mut kernel = cpu::kernel();
    let me = kernel.system.current();
    if me == 0 {
        // Another processor ended the thread meanwhile.
        kernel.system.preempt();
        cpu::enter(kernel)
    }
    match kernel.touch(address, touch) {
        Touched::There => {}
        Touched::Asked => {
            windows::copy_frame(frame, &mut kernel.system.thread(me).context.0);
            cpu::enter(kernel)
        }
        Touched::Not(status) => {
            drop(kernel);
            match status {
                0 => exception(frame),
                status => process::unbacked(frame, status),
            }
        }
    }
}

/// An exception of a process is its end; the kernel raises none: an attack or a bug.
fn exception(frame: &TrapFrame) {
    if frame.from_user() {
        process::fault(frame);
    }
    refuse(frame, Refusal::UnexpectedException)
}

/// An interrupt that a driver may wait for.
fn interrupt(frame: &TrapFrame, vector: u64) {
    if frame.from_user() {
        cpu::interrupted(frame, |kernel| interrupts::came(kernel, vector));
    }
    interrupts::came(&mut cpu::kernel(), vector);
}

/// A vector that nobody asked for: counted, dropped.
fn unasked(frame: &TrapFrame, vector: u64) {
    if vector == 0x80 {
        refuse(frame, Refusal::InjectedInterrupt);
    }
    timer::unasked_interrupt();
}

fn refuse(frame: &TrapFrame, refusal: Refusal) -> ! {
    log::error!(
        "exception {} error {:#x} at {:#x}, CR2 {:#x}",
        frame.vector,
        frame.error,
        frame.rip,
        instr::cr2()
    );
    host::refuse(refusal)
}
