//! What the owner wants in the image: policy, modes, placement, debugging.
//!
//! A recipe is a TOML or JSON file with the keys `policy`, `modes`, `placement` and `debug`; each
//! may be left out. The command line's `--policy` wins over the file.

use crate::{Failure, Result};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path, str::FromStr};
use tessera_defs::mode::Mode;

/// The largest recipe file that is read, in bytes.
const LARGEST: u64 = 64 * 1024;

/// Which set of defaults applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyName {
    /// A developer's build: all five modes, debugging allowed. Marked wherever it shows.
    Demo,
    /// The confidential modes only, no debugging.
    Production,
}

/// Where the owner wants the guest kernel to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// Without a paravisor.
    Direct,
    /// Over a paravisor.
    Paravisor,
    /// As the host requests.
    HostChooses,
}

/// A complete, checked recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Its base.
    pub policy: PolicyName,
    /// The allowed modes, in table order, never empty.
    pub modes: Vec<Mode>,
    /// The allowed placement.
    pub placement: Placement,
    /// Whether the platform may allow debugging.
    pub debug: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    policy: Option<PolicyName>,
    modes: Option<Vec<String>>,
    placement: Option<Placement>,
    debug: Option<bool>,
}

impl FromStr for PolicyName {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "demo" => Ok(Self::Demo),
            "production" => Ok(Self::Production),
            other => Err(Failure::user(
                format!("there is no policy `{other}`"),
                "use `demo` or `production`",
            )),
        }
    }
}

impl Recipe {
    /// The defaults of a policy.
    pub fn of(policy: PolicyName) -> Self {
        let demo = policy == PolicyName::Demo;
        let modes = Mode::ALL
            .into_iter()
            .filter(|mode| demo || *mode != Mode::None)
            .collect();
        Self {
            policy,
            modes,
            placement: Placement::HostChooses,
            debug: demo,
        }
    }

    /// The recipe of an optional file, under an optional policy that overrides the file's.
    pub fn load(policy: Option<PolicyName>, file: Option<&Path>) -> Result<Self> {
        match file {
            Some(path) => Self::check(policy, read(path)?),
            None => Ok(Self::of(policy.unwrap_or(PolicyName::Demo))),
        }
    }

    /// The mask of allowed modes, one [`Mode::bit`] each.
    pub fn mode_mask(&self) -> u32 {
        self.modes.iter().fold(0, |mask, mode| mask | mode.bit())
    }

    fn check(policy: Option<PolicyName>, file: File) -> Result<Self> {
        let mut recipe = Self::of(policy.or(file.policy).unwrap_or(PolicyName::Demo));
        if let Some(names) = file.modes {
            let wanted = names
                .iter()
                .map(|name| mode(name))
                .collect::<Result<Vec<_>>>()?;
            recipe.modes = Mode::ALL
                .into_iter()
                .filter(|mode| wanted.contains(mode))
                .collect();
        }
        recipe.placement = file.placement.unwrap_or(recipe.placement);
        recipe.debug = file.debug.unwrap_or(recipe.debug);
        recipe.refuse_contradictions()?;
        Ok(recipe)
    }

    fn refuse_contradictions(&self) -> Result<()> {
        if self.modes.is_empty() {
            return Err(Failure::user(
                "the recipe allows no mode",
                "name at least one mode",
            ));
        }
        let open = self.debug || self.modes.contains(&Mode::None);
        if self.policy == PolicyName::Production && open {
            return Err(Failure::user(
                "a production policy forbids mode `none` and debugging, the recipe asks for one",
                "remove it from the recipe, or build with `--policy demo`",
            ));
        }
        Ok(())
    }
}

/// The mode that a user names.
pub fn mode(name: &str) -> Result<Mode> {
    Mode::from_name(name).ok_or_else(|| {
        let known: Vec<_> = Mode::ALL.iter().map(|mode| mode.name()).collect();
        let remedy = format!("use one of {}", known.join(", "));
        Failure::user(format!("there is no mode `{name}`"), remedy)
    })
}

fn read(path: &Path) -> Result<File> {
    let io = |error| Failure::io("read", path, &error);
    if fs::metadata(path).map_err(io)?.len() > LARGEST {
        let cause = format!("{} is too large for a recipe", path.display());
        return Err(Failure::user(
            cause,
            "name a TOML or JSON file of a few lines",
        ));
    }
    let text = fs::read_to_string(path).map_err(io)?;
    let json = path
        .extension()
        .is_some_and(|extension| extension == "json");
    let parsed = if json {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else {
        toml::from_str(&text).map_err(|error| error.message().to_owned())
    };
    parsed.map_err(|words: String| {
        let cause = format!("{} is not a recipe: {words}", path.display());
        Failure::user(cause, "the keys are policy, modes, placement and debug")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, text: &str) -> Result<Recipe> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        Recipe::load(None, Some(&path))
    }

    #[test]
    fn toml_and_json_mean_the_same() {
        let toml = "modes = [\"tdx\", \"snp\"]\nplacement = \"direct\"\npolicy = \"production\"\n";
        let json = r#"{"modes":["snp","tdx"],"placement":"direct","policy":"production"}"#;
        let recipe = load("r.toml", toml).unwrap();
        assert_eq!(recipe, load("r.json", json).unwrap());
        assert_eq!(recipe.modes, [Mode::Snp, Mode::Tdx]);
        assert_eq!(recipe.mode_mask(), Mode::Snp.bit() | Mode::Tdx.bit());
        assert!(!recipe.debug);
    }

    #[test]
    fn unknown_keys_and_words_are_named() {
        for (name, text, word) in [
            ("r.toml", "polcy = \"demo\"", "polcy"),
            ("r.json", r#"{"polcy":"demo"}"#, "polcy"),
            ("r.toml", "modes = [\"sev\"]", "sev"),
            ("r.toml", "placement = \"left\"", "left"),
            ("r.toml", "modes = []", "no mode"),
            (
                "r.toml",
                "policy = \"production\"\ndebug = true",
                "production",
            ),
            (
                "r.toml",
                "policy = \"production\"\nmodes = [\"none\"]",
                "production",
            ),
        ] {
            let failure = load(name, text).unwrap_err();
            assert_eq!(failure.party, crate::Party::User);
            assert!(failure.cause.contains(word), "{text}: {failure}");
            assert_eq!(failure.to_string().lines().count(), 1);
        }
    }

    #[test]
    fn production_has_no_mode_none_and_no_debugging() {
        let recipe = Recipe::of(PolicyName::Production);
        assert!(!recipe.debug && !recipe.modes.contains(&Mode::None));
        assert_eq!(recipe.modes.len(), 4);
    }
}
