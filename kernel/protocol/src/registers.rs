//! General registers by number, whoever saved them.

/// The 16 general registers in the order of their encoding (RAX, RCX, RDX, RBX, RSP, RBP, RSI,
/// RDI, R8 to R15; APM vol. 3, table 1-9), and RIP.
pub trait Registers {
    /// Register `number`, 0 to 15.
    fn register(&self, number: u8) -> u64;
    /// Sets register `number`, 0 to 15.
    fn set_register(&mut self, number: u8, value: u64);
    /// RIP.
    fn rip(&self) -> u64;
    /// Sets RIP.
    fn set_rip(&mut self, rip: u64);
}

/// Number of RAX.
pub const RAX: u8 = 0;
/// Number of RCX.
pub const RCX: u8 = 1;
/// Number of RDX.
pub const RDX: u8 = 2;
/// Number of RBX.
pub const RBX: u8 = 3;

/// Register `number` with its low `size` bytes replaced, as the processor does it: 4 bytes
/// clear the upper half.
pub fn merge<R: Registers + ?Sized>(registers: &mut R, number: u8, size: u8, value: u64) {
    let old = registers.register(number);
    let new = match size {
        1 => old & !0xFF | value & 0xFF,
        2 => old & !0xFFFF | value & 0xFFFF,
        4 => value & 0xFFFF_FFFF,
        _ => value,
    };
    registers.set_register(number, new);
}
