//! Which modules a guest needs, by the package's `modules.dep` (kmod's modules.dep(5)): a line a
//! module, its file, a colon, and the files that it needs, each before those that it needs itself.

/// Files of the modules named, and of everything that they need; each once, in the order of the
/// table. `None`: a name that the table does not have.
pub fn needed<'a>(table: &'a str, names: &[&str]) -> Option<Vec<&'a str>> {
    let mut wanted = Vec::new();
    for name in names {
        let (file, needs) = table
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(file, _)| stem(file) == *name)?;
        wanted.extend([file].into_iter().chain(needs.split_whitespace()));
    }
    let files = table
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0));
    Some(files.filter(|file| wanted.contains(file)).collect())
}

/// The table with only these files.
pub fn narrowed(table: &str, files: &[&str]) -> String {
    let kept = table.lines().filter(|line| {
        let file = line.split_once(':').map(|(file, _)| file);
        file.is_some_and(|file| files.contains(&file))
    });
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// The lines of `modules.alias` (`alias PATTERN MODULE`) that lead to these files.
pub fn aliases(table: &str, files: &[&str]) -> String {
    let names: Vec<String> = files
        .iter()
        .map(|file| stem(file).replace('-', "_"))
        .collect();
    let kept = table.lines().filter(|line| {
        let module = line.rsplit(' ').next();
        module.is_some_and(|module| names.iter().any(|name| name == module))
    });
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// `kernel/a/b-c.ko.xz` is `b-c`.
fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "kernel/x/a.ko.xz: kernel/y/b.ko.xz kernel/z/c.ko.xz\n\
        kernel/y/b.ko.xz: kernel/z/c.ko.xz\nkernel/z/c.ko.xz:\nkernel/z/d.ko.xz:\n";

    #[test]
    fn what_is_needed_comes_along_once() {
        let files = needed(TABLE, &["a", "b"]).unwrap();
        assert_eq!(
            files,
            ["kernel/x/a.ko.xz", "kernel/y/b.ko.xz", "kernel/z/c.ko.xz"]
        );
        assert_eq!(needed(TABLE, &["c"]).unwrap(), ["kernel/z/c.ko.xz"]);
        assert_eq!(needed(TABLE, &["e"]), None);
        let table = narrowed(TABLE, &files);
        assert_eq!(table.lines().count(), 3);
        assert!(!table.contains("d.ko"));
        let known = "alias pci:* d\nalias crypto-x b_e\n";
        assert_eq!(aliases(known, &["kernel/b-e.ko"]), "alias crypto-x b_e\n");
    }
}
