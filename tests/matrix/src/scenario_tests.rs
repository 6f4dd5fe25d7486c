use super::*;
use std::collections::BTreeSet;

fn select(modes: &[Mode], scenarios: &[&str], tier: Tier) -> Result<Vec<Boot>, String> {
    let scenarios = scenarios.iter().map(|name| (*name).to_owned()).collect();
    Selection {
        modes: modes.to_vec(),
        scenarios,
        tier,
    }
    .boots()
}

#[test]
fn names_are_unique_words_and_every_scenario_says_something() {
    let names: BTreeSet<_> = ALL.iter().map(|scenario| scenario.name).collect();
    assert_eq!(names.len(), ALL.len());
    for scenario in ALL.iter() {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(!scenario.name.is_empty() && scenario.name.chars().all(word));
        assert!(
            !scenario.what.is_empty() && !scenario.modes.is_empty(),
            "{}",
            scenario.name
        );
    }
}

#[test]
fn each_mode_of_a_scenario_has_exactly_one_outcome() {
    for scenario in ALL.iter() {
        let modes: BTreeSet<_> = scenario.modes.iter().map(|(mode, _)| mode).collect();
        assert_eq!(modes.len(), scenario.modes.len(), "{}", scenario.name);
        assert!(!scenario.direct || scenario.modes.iter().all(|(mode, _)| *mode == Mode::None));
    }
}

#[test]
fn friendly_scenarios_come_first_and_run() {
    let friendly = |scenario: &&Scenario| scenario.name.starts_with("friendly");
    assert!(
        ALL.iter()
            .skip_while(friendly)
            .all(|scenario| !friendly(&scenario))
    );
    for scenario in ALL.iter().filter(friendly) {
        assert!(scenario.lie == "none" && scenario.modes.iter().all(|(_, end)| *end == RUNS));
    }
}

#[test]
fn quick_has_every_scenario_and_every_friendly_mode() {
    let quick = select(&[], &[], Tier::Quick).unwrap();
    let full = select(&[], &[], Tier::Full).unwrap();
    for scenario in ALL.iter().filter(|scenario| scenario.quick) {
        assert!(
            quick.iter().any(|boot| boot.scenario == scenario),
            "{}",
            scenario.name
        );
    }
    for boot in full
        .iter()
        .filter(|boot| boot.scenario.name.starts_with("friendly"))
    {
        assert!(quick.contains(boot));
    }
    assert!(quick.iter().all(|boot| full.contains(boot)));
    assert_eq!(
        full.len(),
        ALL.iter()
            .map(|scenario| scenario.modes.len())
            .sum::<usize>()
    );
}

#[test]
fn unknown_and_empty_choices_are_errors() {
    assert!(
        select(&[], &["nonsense"], Tier::Full)
            .unwrap_err()
            .contains("nonsense")
    );
    assert!(select(&[Mode::None], &["friendly"], Tier::Full).is_ok());
    let direct = select(&[Mode::TdxParavisor], &["friendly-direct"], Tier::Full);
    assert!(direct.is_err());
}
