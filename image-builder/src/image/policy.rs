//! The owner's policy as it is measured and as it is shown.

use crate::build::{Placement, PolicyName, Recipe};
use serde::{Deserialize, Serialize};
use tessera_defs::{mode::Mode, snp::status};
use tessera_handoff::launch;

/// What the owner allows; goes into the launch block and the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its base; `demo` is marked wherever it shows.
    pub name: PolicyName,
    /// Names of the allowed modes, in table order.
    pub modes: Vec<String>,
    /// The allowed placement.
    pub placement: Placement,
    /// Whether the platform may allow debugging.
    pub debug: bool,
}

impl From<&Recipe> for Policy {
    fn from(recipe: &Recipe) -> Self {
        Self {
            name: recipe.policy,
            modes: recipe.modes.iter().map(|mode| mode.name().into()).collect(),
            placement: recipe.placement,
            debug: recipe.debug,
        }
    }
}

impl Policy {
    /// The defaults of a named policy.
    pub fn of(name: PolicyName) -> Self {
        Self::from(&Recipe::of(name))
    }

    /// `LaunchBlock::modes`: the bits of the allowed modes. Unknown names add none.
    pub fn mode_mask(&self) -> u32 {
        let modes = self.modes.iter().filter_map(|name| Mode::from_name(name));
        modes.fold(0, |mask, mode| mask | mode.bit())
    }

    /// `LaunchBlock::placement`.
    pub fn placement_number(&self) -> u32 {
        match self.placement {
            Placement::HostChooses => launch::placement::HOST_CHOOSES,
            Placement::Direct => launch::placement::DIRECT,
            Placement::Paravisor => launch::placement::PARAVISOR,
        }
    }

    /// `LaunchBlock::flags`.
    pub fn flags(&self) -> u32 {
        let demo = u32::from(self.name == PolicyName::Demo) * launch::FLAG_DEMO;
        demo | (u32::from(self.debug) * launch::FLAG_DEBUG_ALLOWED)
    }

    /// The guest policy that SNP_LAUNCH_START is given. Source: 56860, 4.3.
    pub fn snp(&self) -> u64 {
        let debug = u64::from(self.debug) * status::POLICY_DEBUG;
        status::POLICY_RESERVED_ONE | status::POLICY_SMT | debug
    }
}
