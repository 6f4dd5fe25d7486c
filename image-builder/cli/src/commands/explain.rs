//! `tessera explain`: the tables of refusals and breaches, for people.

use std::fmt::Write;
use tessera_defs::{
    breach::{self, Breach},
    refusal::Refusal,
};
use tessera_image_builder::{Failure, Result};

/// Explains one name, or lists them all.
pub fn run(name: Option<&str>) -> Result<()> {
    let text = match name {
        Some(name) => explain(name).ok_or_else(|| unknown(name))?,
        None => list(),
    };
    super::say(&text)
}

fn unknown(name: &str) -> Failure {
    let cause = format!("there is no refusal or breach `{name}`");
    Failure::user(cause, "`tessera explain` lists all names")
}

fn explain(name: &str) -> Option<String> {
    let refusal = Refusal::from_name(name).or_else(|| Refusal::from_code(code(name)?));
    let breach = || breach::ALL.iter().find(|breach| breach.name == name);
    refusal.map(of_refusal).or_else(|| breach().map(of_breach))
}

/// A code as it stands in a report: `0x1f` or `31`.
fn code(text: &str) -> Option<u8> {
    match text.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn of_refusal(refusal: Refusal) -> String {
    format!(
        "{} (refusal {:#04x}: the image stopped by itself)\n  cause:    {}\n  at fault: {}\n  remedy:   {}\n",
        refusal.name(),
        refusal.code(),
        refusal.cause(),
        refusal.guilty().name(),
        refusal.remedy()
    )
}

fn of_breach(breach: &Breach) -> String {
    format!(
        "{} (breach: the host saw the guest break the rules)\n  cause:    {}\n  at fault: guest\n  remedy:   {}\n",
        breach.name, breach.cause, breach.remedy
    )
}

fn list() -> String {
    let mut text = "Refusals, by which an image stops itself:\n".to_owned();
    for refusal in Refusal::ALL {
        writeln!(text, "  {:#04x} {}", refusal.code(), refusal.name()).ok();
    }
    text += "Breaches, which the test host reports of a guest:\n";
    for breach in breach::ALL {
        writeln!(text, "  {}", breach.name).ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_is_explained_in_four_lines() {
        let names = Refusal::ALL.iter().map(|refusal| refusal.name());
        for name in names.chain(breach::ALL.iter().map(|breach| breach.name)) {
            let text = explain(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(text.lines().count(), 4, "{text}");
            assert!(list().contains(name));
        }
    }

    #[test]
    fn a_code_is_a_name_too() {
        assert_eq!(explain("0x01"), explain("debug-forbidden"));
        assert_eq!(explain("1"), explain("debug-forbidden"));
        assert!(explain("0x1000").is_none() && explain("nonsense").is_none());
    }
}
