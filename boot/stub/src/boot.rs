//! The boot order of the stub.

use crate::claims;
use crate::entry::{self, Door};
use crate::event_log::{self, Heard};
use crate::handover;
use crate::kernel_tables::{self, Plan};
use crate::linux;
use crate::memory_map;
use crate::platform::Platform;
use crate::pvh::StartInfo;
use tessera_defs::mode::HostProfile;
use tessera_defs::port::PM1A_CNT;
use tessera_defs::refusal::Refusal;
use tessera_handoff::command_line::log_level;
use tessera_handoff::handoff::{Handoff, MAGIC};
use tessera_handoff::launch;
use tessera_handoff::layout::{
    PARAVISOR_PAGES, PARAVISOR_POOL, PARAVISOR_STACK, POOL_END, POOL_START, STACK_START,
};
use tessera_isolation::policy::Policy;
use tessera_isolation::select::{Decision, select};

/// Who goes on.
enum Next {
    /// Our kernel or paravisor, on its own tables.
    Kernel { cr3: u64, entry: u64 },
    /// Linux, on the stub's tables.
    Linux { entry: u64 },
}

/// From the first instruction to the kernel's, or out by the architectural door.
pub fn run(door: Door, argument: u64) -> ! {
    crate::traps::install(door);
    let mut platform = Platform::of(door);
    match start(door, argument, &mut platform) {
        Ok(Next::Kernel { cr3, entry }) => handover::enter(cr3, entry),
        Ok(Next::Linux { entry }) => linux::enter(entry),
        Err(refusal) => platform.refuse(refusal),
    }
}

fn start(door: Door, argument: u64, platform: &mut Platform) -> Result<Next, Refusal> {
    let pvh = if door == Door::Pvh {
        Some(StartInfo::at(argument)?)
    } else {
        None
    };
    if let Some(info) = &pvh {
        info.load_image()?;
    }
    let regions = memory_map::regions(pvh.as_ref())?;
    platform.prepare()?;
    let decision = decide(platform)?;
    let launch = claims::launch_block();
    if launch.flags & launch::FLAG_LINUX != 0 && !decision.start_paravisor {
        let entry = linux::prepare(
            &launch,
            regions,
            platform,
            claims::comes_private(decision.profile),
            decision.profile == HostProfile::HyperV,
        )?;
        return Ok(Next::Linux { entry });
    }
    let rsdp = match &pvh {
        Some(info) => info.rsdp(),
        None => claims::madt().map_or(0, handover::write_acpi),
    };
    let log_level = match &pvh {
        Some(info) => log_level(info.command_line()),
        None => log_level(claims::command_line()),
    };
    let log_level = log_level.map_or(0, |level| level as u32);
    handover::write_boot_info(regions, rsdp);
    hand_over(&decision, platform, door, log_level)
}

fn decide(platform: &mut Platform) -> Result<Decision, Refusal> {
    let policy = Policy::from_launch_block(&claims::launch_block())?;
    let evidence = platform.evidence()?;
    let mut heard = Heard::default();
    let claims = claims::isolation(platform, &mut heard)?;
    let decision = select(&claims, &evidence, &policy)?;
    if !platform.is_lower() {
        event_log::write(&heard, &decision);
    }
    Ok(decision)
}

fn hand_over(
    decision: &Decision,
    platform: &Platform,
    door: Door,
    log_level: u32,
) -> Result<Next, Refusal> {
    let launch = claims::launch_block();
    let (component, pool, stack) = if decision.start_paravisor {
        (
            &launch.paravisor,
            (PARAVISOR_POOL, PARAVISOR_PAGES),
            PARAVISOR_STACK,
        )
    } else {
        (&launch.kernel, (POOL_START, POOL_END), STACK_START)
    };
    if component.len == 0 {
        return Err(Refusal::ParavisorUnavailable);
    }
    let bits = platform.bits();
    let (tables, left) = kernel_tables::build(&Plan {
        component,
        pool,
        stack,
        bits,
        shares: platform.shares(),
        lower: platform.is_lower(),
        trampoline: handover::trampoline(),
    })?;
    let entry = component.entry;
    handover::write_handoff(&Handoff {
        magic: MAGIC,
        mode: decision.mode as u32,
        profile: decision.profile as u32,
        private_bits: bits.private,
        shared_bits: bits.shared,
        pool_next: left.next(),
        pool_end: pool.1,
        comes_private: u32::from(claims::comes_private(decision.profile)),
        vp_count: claims::vp_count(),
        pm1a_cnt: u32::from(PM1A_CNT),
        direct: u32::from(door == Door::Pvh),
        lower_entry: entry::lower(door),
        paravisor_below: u32::from(platform.is_lower()),
        log_level,
        launch,
    });
    let cr3 = tables.cr3();
    Ok(Next::Kernel { cr3, entry })
}
