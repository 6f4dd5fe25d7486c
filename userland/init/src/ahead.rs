//! Memory accepted ahead, all of it, or pages shared and taken back, under a host that begins to lie with it:
//! where the test host's device says so.

use crate::shared;
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
            let _unwritable = writeln!(Console, "init: check failed: under a late lie: {result:?}");
            1
        }
    }
}

fn accept() -> Result<bool, Error> {
    let device = Channel::new(CHANNEL_PORT, TEST_LATE.into(), 4)?;
    let what = device.read(0, 4)?.any();
    if !(1..=3).contains(&what) {
        device.0.close()?;
        return Ok(true);
    }
    let begin = || device.write(0, 4, 1);
    if what > 1 {
        let done = shared::round_trip(what == 2, begin)?;
        device.0.close()?;
        return Ok(done);
    }
    begin()?;
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
