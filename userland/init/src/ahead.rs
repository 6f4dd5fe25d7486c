//! Memory accepted ahead, all of it, under a host that begins to lie with it: where the test host's device
//! says so.

use core::fmt::Write;
use tessera_abi::error::Error;
use tessera_abi::number::CHANNEL_PORT;
use tessera_defs::port::TEST_LATE;
use tessera_runtime::console::Console;
use tessera_runtime::device::{Channel, Inspection};
use tessera_runtime::{system, time};

/// How often it looks, a millisecond apart.
const PATIENCE: u32 = 100_000;

/// How many checks failed.
pub fn run() -> u64 {
    match accept() {
        Ok(true) => 0,
        result => {
            let _unwritable = writeln!(Console, "init: check failed: acceptance ahead: {result:?}");
            1
        }
    }
}

fn accept() -> Result<bool, Error> {
    let device = Channel::new(CHANNEL_PORT, TEST_LATE.into(), 4)?;
    if device.read(0, 4)?.any() != 1 {
        device.0.close()?;
        return Ok(true);
    }
    device.write(0, 4, 1)?;
    let inspection = Inspection::new()?;
    let all = system::info()?.pages_total;
    let mut now = inspection.accept(all)?;
    for _ in 0..PATIENCE {
        if now == all {
            break;
        }
        time::sleep(1_000)?;
        now = system::info()?.pages_accepted;
    }
    let _unwritable = writeln!(Console, "init: {now} of {all} pages accepted ahead");
    for handle in [device.0, inspection.0] {
        handle.close()?;
    }
    Ok(now == all)
}
