//! Progress on long steps: a spinner on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::{io::IsTerminal, time::Duration};

/// One long step. Dropping it without [`Step::done`] leaves no bar behind.
pub struct Step {
    bar: Option<ProgressBar>,
    name: String,
    count: u64,
}

impl Step {
    /// Announces the step `name` on standard error.
    pub fn start(name: impl Into<String>) -> Self {
        let name = name.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner().with_message(name.clone());
            let style = "{spinner} {msg} [{elapsed}] {pos} {prefix}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            eprintln!("{name} ...");
        }
        Self {
            bar,
            name,
            count: 0,
        }
    }

    /// One more item is ready; `item` is shown beside the bar.
    pub fn advance(&mut self, item: &str) {
        self.count += 1;
        if let Some(bar) = &self.bar {
            bar.set_position(self.count);
            bar.set_prefix(item.to_owned());
        }
    }

    /// Shows a line without disturbing the bar.
    pub fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    /// The step succeeded.
    pub fn done(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("{}: done", self.name);
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
