//! Answers to command lines that clap does not turn into arguments: help, version, mistakes.

use clap::error::ErrorKind;
use std::process::ExitCode;
use tessera_image_builder::Failure;

/// Exit status of a command line that cannot be understood.
const MISUSED: u8 = 2;

/// Prints help or version to standard output; of a mistake, one line to standard error.
pub fn answer(error: &clap::Error) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        let printed = error.print();
        return if printed.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    eprintln!("tessera: {}", mistake(&error.to_string()));
    ExitCode::from(MISUSED)
}

/// clap's words without its usage lines.
fn mistake(text: &str) -> Failure {
    let what = text.split("\n\nUsage:").next().unwrap_or(text);
    let what = what
        .split("\n\nFor more information")
        .next()
        .unwrap_or(what);
    let what = what.trim_start_matches("error: ").trim();
    Failure::user(what, "see `tessera --help`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_one_line_without_usage() {
        let text = "error: the following arguments were not provided:\n  <FILE>\n\nUsage: tessera inspect <FILE>\n\nFor more information, try '--help'.\n";
        assert_eq!(
            mistake(text).to_string(),
            "the following arguments were not provided: <FILE> (at fault: your input); \
             see `tessera --help`"
        );
    }
}
