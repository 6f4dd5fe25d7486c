//! The architectural door: how a guest that must stop says why, wherever it runs.
#![allow(unsafe_code)] // reason: each platform's own door, chosen by what was composed

use crate::host::{GhcbMsrPort, TdcallPort};
use crate::instr;
use core::sync::atomic::{AtomicU32, Ordering};
use tessera_defs::mode::Mode;
use tessera_defs::refusal::Refusal;
use tessera_defs::snp::ghcb_msr::TERMINATE_SET_TESSERA;
use tessera_defs::tdx::vmcall::FATAL_TESSERA;
use tessera_protocol::{ghcb_msr, tdx};

static MODE: AtomicU32 = AtomicU32::new(u32::MAX);

/// Says which platform this is. `compose::Machine::new` does so too.
pub fn set_mode(mode: Mode) {
    MODE.store(mode as u32, Ordering::Relaxed);
}

/// GHCB termination request, or ReportFatalError, with `code`; on a plain machine, which has
/// no such door, soft off. Never returns.
pub fn fatal(code: u8) -> ! {
    match Mode::from_u32(MODE.load(Ordering::Relaxed)) {
        Some(Mode::Snp | Mode::SnpParavisor) => {
            // SAFETY: composed for SNP.
            ghcb_msr::terminate(
                &mut unsafe { GhcbMsrPort::new() },
                TERMINATE_SET_TESSERA,
                code,
            );
        }
        // An L2's call goes to the paravisor in L1, which passes it on.
        Some(Mode::Tdx | Mode::TdxParavisor) => {
            let code = FATAL_TESSERA as u32 | u32::from(code);
            // SAFETY: composed for TDX.
            tdx::vmcall::fatal(&mut unsafe { TdcallPort::new() }, code);
        }
        Some(Mode::None) => {
            use tessera_defs::port::{PM1A_CNT, PM1A_SOFT_OFF};
            say_plainly(code);
            // SAFETY: turns a plain machine off.
            unsafe { instr::out16(PM1A_CNT, PM1A_SOFT_OFF) }
        }
        _ => {}
    }
    instr::halt_forever()
}

/// Whether TDCALL exists here.
pub(crate) fn in_td() -> bool {
    MODE.load(Ordering::Relaxed) == Mode::Tdx as u32
}

/// The reason as the console's last line: a plain machine has no other way to say it.
fn say_plainly(code: u8) {
    let name = Refusal::from_code(code).map_or("panic", Refusal::name);
    for part in ["\ntessera: refused ", name, "\n"] {
        for byte in part.bytes() {
            // SAFETY: the console port of a plain machine.
            unsafe { instr::out8(tessera_defs::port::COM1, byte) }
        }
    }
}
