//! QEMU's fw_cfg by DMA. Source: QEMU `docs/specs/fw_cfg.rst`.
#![allow(unsafe_code)] // Reason: the device writes into memory by DMA.

use super::instr;
use alloc::{string::String, vec, vec::Vec};

const PORT_DMA_HIGH: u16 = 0x514;
const PORT_DMA_LOW: u16 = 0x518;
const SELECT: u32 = 0x08;
const READ: u32 = 0x02;
const SKIP: u32 = 0x04;
const ERROR: u32 = 0x01;
const KEY_RAM_SIZE: u16 = 0x03;
const KEY_DIRECTORY: u16 = 0x19;

#[repr(C)]
struct Access {
    control: u32,
    length: u32,
    address: u64,
}

/// Reads `into.len()` bytes of `key` from `offset` on. Errors: the device's.
fn read(key: u16, offset: u32, into: &mut [u8]) -> Result<(), &'static str> {
    transfer(u32::from(key) << 16 | SELECT | SKIP, offset, 0)?;
    transfer(READ, into.len() as u32, into.as_mut_ptr() as u64)
}

fn transfer(control: u32, length: u32, address: u64) -> Result<(), &'static str> {
    let mut access = Access {
        control: control.to_be(),
        length: length.to_be(),
        address: address.to_be(),
    };
    let at = &raw mut access as u64;
    instr::out32(PORT_DMA_HIGH, ((at >> 32) as u32).to_be());
    instr::out32(PORT_DMA_LOW, (at as u32).to_be());
    loop {
        // SAFETY: `access` lives on this stack frame; the device changes it by DMA.
        let control = u32::from_be(unsafe { (&raw const access.control).read_volatile() });
        if control & ERROR != 0 {
            return Err("fw_cfg DMA failed");
        }
        if control == 0 {
            return Ok(());
        }
    }
}

/// The machine's RAM in bytes.
pub fn ram_size() -> Result<u64, &'static str> {
    let mut bytes = [0; 8];
    read(KEY_RAM_SIZE, 0, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// The named file, if the machine was given one.
pub fn file(name: &str) -> Result<Option<Vec<u8>>, &'static str> {
    let mut count = [0; 4];
    read(KEY_DIRECTORY, 0, &mut count)?;
    for index in 0..u32::from_be_bytes(count) {
        let mut entry = [0; 64];
        read(KEY_DIRECTORY, 4 + index * 64, &mut entry)?;
        let end = entry[8..].iter().position(|b| *b == 0).unwrap_or(56);
        if &entry[8..8 + end] == name.as_bytes() {
            let size = u32::from_be_bytes([entry[0], entry[1], entry[2], entry[3]]);
            let mut bytes = vec![0; size as usize];
            read(u16::from_be_bytes([entry[4], entry[5]]), 0, &mut bytes)?;
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// The named file as text.
pub fn text(name: &str) -> Result<String, &'static str> {
    let bytes = file(name)?.ok_or("a fw_cfg file is missing")?;
    String::from_utf8(bytes).map_err(|_| "a fw_cfg string is not UTF-8")
}
