//! The host's own interrupts: the timer is acknowledged, anything else is the host's own bug.
#![allow(unsafe_code)] // Reason: interrupt entry and LIDT.

use super::{panic, timer};
use alloc::{boxed::Box, format, vec};
use core::arch::{asm, global_asm};

global_asm!(
    r#"
    .text
    .global host_timer_entry
host_timer_entry:
    push rax
    push rcx
    push rdx
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    call {timer}
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rax
    iretq
    .global host_fault_entry
host_fault_entry:
    mov rdi, [rsp]
    mov rsi, [rsp + 8]
    mov rdx, cr2
    and rsp, -16
    call {fault}
    "#,
    timer = sym on_timer,
    fault = sym on_fault,
);

unsafe extern "C" {
    fn host_timer_entry();
    fn host_fault_entry();
}

extern "C" fn on_timer() {
    timer::end_of_interrupt();
}

extern "C" fn on_fault(top: u64, next: u64, cr2: u64) -> ! {
    panic::fail(&format!(
        "host fault: stack {top:#x} {next:#x} cr2 {cr2:#x}"
    ))
}

/// Builds the IDT and loads it.
pub fn load() {
    let mut table = vec![[0u64; 2]; 256];
    for (vector, gate) in table.iter_mut().enumerate() {
        let entry = match vector == usize::from(timer::VECTOR) {
            true => host_timer_entry as *const () as u64,
            false => host_fault_entry as *const () as u64,
        };
        // Interrupt gate, present, DPL 0, selector 8 (APM vol. 2, figure 4-24).
        gate[0] = entry & 0xFFFF | 8 << 16 | 0x8E00 << 32 | (entry >> 16 & 0xFFFF) << 48;
        gate[1] = entry >> 32;
    }
    let table: &'static mut [[u64; 2]] = Box::leak(table.into_boxed_slice());
    let mut pointer = [0u8; 10];
    pointer[..2].copy_from_slice(&4095u16.to_le_bytes());
    pointer[2..].copy_from_slice(&(table.as_ptr() as u64).to_le_bytes());
    // SAFETY: the table is leaked, holds 256 valid gates, and the pointer is well formed.
    unsafe { asm!("lidt [{}]", in(reg) pointer.as_ptr(), options(readonly, nostack)) }
}
