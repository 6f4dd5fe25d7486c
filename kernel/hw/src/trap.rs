//! Trap entry: 256 stubs that save every register and call one handler.
#![allow(unsafe_code)] // reason: assembly entry points, and the frame they leave on the stack

use crate::probe;
use crate::user::KERNEL_RSP;
use core::arch::{global_asm, naked_asm};
use core::sync::atomic::{AtomicPtr, Ordering};
use tessera_defs::x86::vector;

/// Registers at a trap, as the stubs push them, or of a thread. RSP, SS, RIP, CS and RFLAGS are
/// what IRETQ will load.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TrapFrame {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rbp: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rbx: u64,
    pub rax: u64,
    /// Vector.
    pub vector: u64,
    /// Error code; 0 where the vector has none.
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}
tessera_defs::assert_layout!(TrapFrame, size 176, rbp @ 64, rax @ 112, vector @ 120, error @ 128,
    rip @ 136, cs @ 144, rflags @ 152, rsp @ 160, ss @ 168);

impl TrapFrame {
    /// An interrupt came though RFLAGS.IF was clear: no processor delivers that, a host that
    /// injects it does (APM vol. 2, 15.20).
    pub fn forced(&self) -> bool {
        const IF: u64 = 1 << 9;
        self.vector >= 32 && self.rflags & IF == 0
    }

    /// The trap came from ring 3.
    pub fn from_user(&self) -> bool {
        self.cs & 3 == 3
    }
}

/// What handles traps.
pub type Handler = fn(&mut TrapFrame);

static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Names the handler. Before that, every trap halts the processor.
///
/// # Safety
/// The handler changes a frame of ring 0 only so that the interrupted code goes on as if its
/// instruction had completed (or does not return), and leaves ring-3 frames with CS and SS of
/// `gdt::USER_CODE` and `gdt::USER_DATA`.
pub unsafe fn set_handler(handler: Handler) {
    HANDLER.store(handler as *mut (), Ordering::Release);
}

/// Called by the stubs with interrupts off.
extern "sysv64" fn dispatch(frame: &mut TrapFrame) {
    if frame.vector == u64::from(vector::GP) && probe::fix_up(frame) {
        return;
    }
    let handler = HANDLER.load(Ordering::Acquire);
    if handler.is_null() {
        crate::instr::halt_forever();
    }
    // SAFETY: only `set_handler` stores here, and it stores a `Handler`.
    let handler = unsafe { core::mem::transmute::<*mut (), Handler>(handler) };
    handler(frame);
}

// 16 bytes a stub. Vectors 8, 10-14, 17, 21, 29, 30 push an error code (APM vol. 2, 8.2).
global_asm!(
    ".balign 16",
    ".global tessera_trap_stubs",
    "tessera_trap_stubs:",
    ".set tessera_vector, 0",
    ".rept 256",
    ".balign 16",
    ".if (tessera_vector > 31) || (((0x60227d00 >> (tessera_vector & 31)) & 1) == 0)",
    "pushq $0",
    ".endif",
    "pushq $tessera_vector",
    "jmp {common}",
    ".set tessera_vector, tessera_vector + 1",
    ".endr",
    common = sym common,
    options(att_syntax),
);

unsafe extern "C" {
    static tessera_trap_stubs: [[u8; 16]; 256];
}

/// Address of the stub of `vector`.
pub(crate) fn stub(vector: u8) -> u64 {
    (&raw const tessera_trap_stubs) as u64 + u64::from(vector) * 16
}

macro_rules! save_all {
    ($($rest:tt)*) => {
        naked_asm!(
            "push rax", "push rbx", "push rcx", "push rdx", "push rsi", "push rdi", "push rbp",
            "push r8", "push r9", "push r10", "push r11", "push r12", "push r13", "push r14",
            "push r15",
            // No AC, no DF, no NT, whatever ring 3 had: AC would undo SMAP.
            "push 2",
            "popfq",
            $($rest)*
        )
    };
}

/// From the stubs: vector and error code are pushed, the rest is saved here.
#[unsafe(naked)]
unsafe extern "C" fn common() {
    naked_asm!(
        "test byte ptr [rsp + 24], 3", // CS
        "jnz {user}",
        "jmp {save}",
        user = sym from_user,
        save = sym save_and_dispatch,
    )
}

/// A trap of ring 3, on its vector's interrupt stack: the frame moves to the kernel's stack, on
/// which nothing stands, so that the interrupt stack is free for the next event.
#[unsafe(naked)]
unsafe extern "C" fn from_user() {
    save_all!(
        "swapgs",
        "mov rsi, rsp",
        "mov rdi, gs:[{kernel_rsp}]",
        "sub rdi, {frame}",
        "mov rsp, rdi",
        "mov ecx, {frame} / 8",
        "rep movsq",
        "jmp {go}",
        kernel_rsp = const KERNEL_RSP,
        frame = const size_of::<TrapFrame>(),
        go = sym go,
    )
}

/// Expects SS to vector pushed, and the kernel's GS base where ring 3 was left.
#[unsafe(naked)]
unsafe extern "C" fn save_and_dispatch() {
    save_all!("jmp {go}", go = sym go)
}

/// The frame is at RSP; falls into `restore`.
#[unsafe(naked)]
unsafe extern "C" fn go() {
    naked_asm!(
        "mov rdi, rsp",
        "mov rbp, rsp",
        "and rsp, -16",
        "call {dispatch}",
        "mov rdi, rbp",
        "jmp {restore}",
        dispatch = sym dispatch,
        restore = sym restore,
    )
}

/// Goes on with the frame at RDI.
#[unsafe(naked)]
unsafe extern "sysv64" fn restore(frame: *const TrapFrame) -> ! {
    naked_asm!(
        "cli",
        "mov rsp, rdi",
        "test byte ptr [rsp + 144], 3", // CS
        "jz 2f",
        "swapgs",
        "2: pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop r11",
        "pop r10",
        "pop r9",
        "pop r8",
        "pop rbp",
        "pop rdi",
        "pop rsi",
        "pop rdx",
        "pop rcx",
        "pop rbx",
        "pop rax",
        "add rsp, 16",
        "iretq",
    )
}
