//! With which registers a lower processor starts.

use tessera_defs::start_vp::{InitialVpContext, SegmentRegister, TableRegister};
use tessera_defs::x86::efer;
use tessera_handoff::layout::{BOOT_TABLES, STUB_END};
use tessera_protocol::start_vp;

/// PE, MP, ET, NE, WP, PG.
const CR0: u64 = 0x8001_0033;
/// PAE, MCE, OSFXSR, OSXMMEXCPT.
const CR4: u64 = 1 << 5 | 1 << 6 | 1 << 9 | 1 << 10;
/// Present segments of real mode: 16-bit, accessed, byte granularity.
const REAL_CODE: u16 = 0x9B;
const REAL_DATA: u16 = 0x93;
/// Busy TSS, LDT.
const TSS: u16 = 0x8B;
const LDT: u16 = 0x82;

const fn segment(selector: u16, base: u64, limit: u32, attributes: u16) -> SegmentRegister {
    SegmentRegister {
        base,
        limit,
        selector,
        attributes,
    }
}

/// The first processor: 64-bit at `entry`, the stub's lower door, on its boot tables.
pub const fn boot(entry: u64) -> InitialVpContext {
    let control = [CR0, CR4, efer::LME | efer::LMA | efer::NXE];
    InitialVpContext {
        rsp: STUB_END,
        ..start_vp::long_mode(entry, BOOT_TABLES, control)
    }
}

/// After INIT and a startup IPI for `page`: real mode at its start. Source: Intel SDM vol. 3, table
/// 10-1, 9.4.4.1; APM vol. 2, table 14-1. The PAT keeps its value at INIT; here it starts anew.
pub const fn startup(page: u8) -> InitialVpContext {
    let data = segment(0, 0, 0xFFFF, REAL_DATA);
    let table = TableRegister {
        pad: [0; 3],
        limit: 0xFFFF,
        base: 0,
    };
    InitialVpContext {
        rip: 0,
        rsp: 0,
        rflags: 2,
        cs: segment((page as u16) << 8, (page as u64) << 12, 0xFFFF, REAL_CODE),
        ds: data,
        es: data,
        fs: data,
        gs: data,
        ss: data,
        tr: segment(0, 0, 0xFFFF, TSS),
        ldtr: segment(0, 0, 0xFFFF, LDT),
        idtr: table,
        gdtr: table,
        efer: 0,
        cr0: 0x10,
        cr3: 0,
        cr4: 0,
        pat: start_vp::PAT,
    }
}
