//! Policy: the owner's word, measured into the image.

use crate::refusal::Refusal;
use tessera_defs::mode::Mode;
use tessera_handoff::launch::{self, LaunchBlock};

/// Whether a paravisor runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The host's request decides.
    HostChooses,
    /// Never a paravisor.
    Direct,
    /// Always a paravisor.
    Paravisor,
}

/// A checked policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    modes: u32,
    placement: Placement,
    debug_allowed: bool,
    demo: bool,
}

impl Policy {
    /// Checks magic, version, flags, modes and placement of the measured block.
    /// Errors: `LaunchBlockInvalid` (image).
    pub fn from_launch_block(block: &LaunchBlock) -> Result<Policy, Refusal> {
        if block.magic != launch::MAGIC || block.version != launch::VERSION {
            return Err(Refusal::LaunchBlockInvalid);
        }
        Policy::from_fields(block.modes, block.placement, block.flags)
    }

    /// A policy from the block's three fields. Errors: `LaunchBlockInvalid` (image).
    pub fn from_fields(modes: u32, placement: u32, flags: u32) -> Result<Policy, Refusal> {
        let known_modes = Mode::ALL.iter().fold(0, |mask, mode| mask | mode.bit());
        let known_flags = launch::FLAG_DEMO
            | launch::FLAG_DEBUG_ALLOWED
            | launch::FLAG_LINUX
            | launch::FLAG_ACCEPT_ALL;
        let placement = match placement {
            launch::placement::HOST_CHOOSES => Placement::HostChooses,
            launch::placement::DIRECT => Placement::Direct,
            launch::placement::PARAVISOR => Placement::Paravisor,
            _ => return Err(Refusal::LaunchBlockInvalid),
        };
        // Who accepts is a question about Linux alone.
        let accepts = flags & (launch::FLAG_ACCEPT_ALL | launch::FLAG_LINUX);
        let unknown = modes & !known_modes != 0 || flags & !known_flags != 0;
        if modes == 0 || unknown || accepts == launch::FLAG_ACCEPT_ALL {
            return Err(Refusal::LaunchBlockInvalid);
        }
        Ok(Policy {
            modes,
            placement,
            debug_allowed: flags & launch::FLAG_DEBUG_ALLOWED != 0,
            demo: flags & launch::FLAG_DEMO != 0,
        })
    }

    /// Whether the owner allows `mode`.
    pub const fn allows(&self, mode: Mode) -> bool {
        self.modes & mode.bit() != 0
    }

    /// Whether a paravisor runs.
    pub const fn placement(&self) -> Placement {
        self.placement
    }

    /// Whether the host may debug the guest.
    pub const fn debug_allowed(&self) -> bool {
        self.debug_allowed
    }

    /// Whether this is the default policy of a developer's build; shown, never decided upon.
    pub const fn demo(&self) -> bool {
        self.demo
    }
}
