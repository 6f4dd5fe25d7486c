//! Where in the image an instruction pointer is.

use object::{Object, ObjectSymbol, SymbolKind};
use std::{fs, path::PathBuf};

/// `kernel: function+0x12` for an address in one of the programs (name, ELF file); the program
/// with the nearest function below it, at most 1 MiB away, wins.
pub fn find(programs: &[(String, PathBuf)], address: u64) -> Option<String> {
    let near = |(name, path): &(String, PathBuf)| {
        let bytes = fs::read(path).ok()?;
        let (symbol, offset) = nearest(&bytes, address)?;
        Some((offset, format!("{name}: {symbol}+{offset:#x}")))
    };
    programs.iter().filter_map(near).min().map(|(_, text)| text)
}

fn nearest(elf: &[u8], address: u64) -> Option<(String, u64)> {
    let file = object::File::parse(elf).ok()?;
    let code = |kind| matches!(kind, SymbolKind::Text | SymbolKind::Label);
    let symbol = file
        .symbols()
        .filter(|symbol| code(symbol.kind()) && symbol.address() <= address)
        .max_by_key(|symbol| symbol.address())?;
    let offset = address - symbol.address();
    let name = symbol.name().ok()?;
    (offset < 1 << 20).then(|| (plain(name), offset))
}

/// Path segments of a legacy-mangled Rust name; any other name as it is.
fn plain(name: &str) -> String {
    let Some(mut rest) = name.strip_prefix("_ZN") else {
        return name.to_owned();
    };
    let mut parts = Vec::new();
    while let Some(end) = rest
        .find(|c: char| !c.is_ascii_digit())
        .filter(|end| *end > 0)
    {
        let len: usize = rest[..end].parse().unwrap_or(usize::MAX);
        let Some(part) = rest[end..].get(..len) else {
            return name.to_owned();
        };
        parts.push(part);
        rest = &rest[end + len..];
    }
    // The last one is a hash.
    parts.pop();
    parts.join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_finds_its_own_functions() {
        let me = std::env::current_exe().unwrap();
        let bytes = fs::read(&me).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let symbol = file.symbols().find(|symbol| {
            symbol.kind() == SymbolKind::Text && symbol.size() > 4 && symbol.address() > 0
        });
        let address = symbol.unwrap().address();
        let text = find(&[("me".into(), me)], address + 3).unwrap();
        assert!(text.starts_with("me: ") && text.ends_with("+0x3"), "{text}");
        assert_eq!(find(&[("none".into(), "/nonexistent".into())], 1), None);
    }

    #[test]
    fn mangled_names_become_paths() {
        assert_eq!(plain("_ZN3foo3bar17h0123456789abcdefE"), "foo::bar");
        assert_eq!(plain("entry_snp"), "entry_snp");
        assert_eq!(plain("_ZN99x"), "_ZN99x");
    }
}
