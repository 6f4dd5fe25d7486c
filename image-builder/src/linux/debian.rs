//! Debian's stock kernel and busybox, as a guest that others wrote: fetched by apt, unpacked
//! into the cache, never installed.

use crate::{Failure, Result, progress::Step, setup::Host};
use std::{
    fs,
    path::{Path, PathBuf},
};

const PREFIX: &str = "linux-image-";
const BUSYBOX: &str = "busybox-static";

/// Packages of one kernel; the newest is taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Series {
    /// The version as far as it is given, for people too.
    pub version: &'static str,
    /// What stands before and behind the number that counts.
    name: (&'static str, &'static str),
    /// In the cache.
    folder: &'static str,
}

/// The kernel of Debian's backports: it accepts memory by itself.
pub const LINUX_6_12: Series = Series {
    version: "6.12",
    name: ("linux-image-6.12.", "+deb12-cloud-amd64"),
    folder: "linux-6.12",
};
/// The kernel of Debian bookworm: an SNP guest that takes all memory as accepted, no TD.
pub const LINUX_6_1: Series = Series {
    version: "6.1",
    name: ("linux-image-6.1.0-", "-cloud-amd64"),
    folder: "linux-6.1",
};

/// The files, in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// The bzImage.
    pub kernel: PathBuf,
    /// A static busybox.
    pub busybox: PathBuf,
    /// Modules, and `modules.dep`.
    pub modules: PathBuf,
    /// The kernel's package.
    pub package: String,
}

impl Stock {
    /// What `uname -r` says.
    pub fn version(&self) -> &str {
        self.package.strip_prefix(PREFIX).unwrap_or(&self.package)
    }
}

/// The files, fetched once unless `offline`. Errors blame this machine: no apt, no network, no
/// such package, no cache. A test that meets one is skipped, loudly.
pub fn stock(host: &Host, series: &Series, offline: bool) -> Result<Stock> {
    let cache = host.cache().ok_or_else(|| {
        let cause = "there is no folder for caches";
        Failure::machine(cause, "set HOME or XDG_CACHE_HOME")
    })?;
    let folder = cache.join(series.folder);
    if let Some(stock) = cached(&folder) {
        return Ok(stock);
    }
    if offline {
        let cause = "Debian's kernel is not in the cache, and --offline forbids to fetch it";
        return Err(Failure::machine(cause, "run once without --offline"));
    }
    fetch(host, series, &cache, &folder)?;
    cached(&folder).ok_or_else(|| missing("the packages do not hold what was expected of them"))
}

fn cached(folder: &Path) -> Option<Stock> {
    let package = fs::read_to_string(folder.join("package")).ok()?;
    let version = package.trim().strip_prefix(PREFIX)?;
    let stock = Stock {
        kernel: folder.join(format!("boot/vmlinuz-{version}")),
        busybox: folder.join("bin/busybox"),
        modules: folder.join("lib/modules").join(version),
        package: package.trim().into(),
    };
    let table = stock.modules.join("modules.dep");
    let whole = [&stock.kernel, &stock.busybox, &table]
        .iter()
        .all(|path| path.is_file());
    whole.then_some(stock)
}

fn fetch(host: &Host, series: &Series, cache: &Path, folder: &Path) -> Result<()> {
    let step = Step::start(format!("fetching Debian's Linux {}", series.version));
    let [apt_get, apt_cache, dpkg] = ["apt-get", "apt-cache", "dpkg"].map(|name| host.find(name));
    let (Some(apt_get), Some(apt_cache), Some(dpkg)) = (apt_get, apt_cache, dpkg) else {
        return Err(missing("this machine has no apt"));
    };
    let names = host
        .ask(&apt_cache, &["pkgnames", series.name.0])
        .unwrap_or_default();
    let package =
        newest(series, names.lines()).ok_or_else(|| missing("apt knows no such kernel"))?;
    fs::create_dir_all(cache).map_err(|error| Failure::io("create", cache, &error))?;
    let work = tempfile::Builder::new()
        .prefix(".linux-")
        .tempdir_in(cache)
        .map_err(|error| Failure::io("write to", cache, &error))?;
    let fetched = host
        .command(&apt_get)
        .current_dir(work.path())
        .args(["-qq", "download", package, BUSYBOX])
        .output()
        .map_err(|error| Failure::io("start", &apt_get, &error))?;
    if !fetched.status.success() {
        let words = String::from_utf8_lossy(&fetched.stderr);
        let first = words
            .lines()
            .find(|line| line.starts_with("E:"))
            .unwrap_or("no message");
        return Err(missing(&format!("apt cannot fetch it: {first}")));
    }
    let root = work.path().join("root");
    for file in fs::read_dir(work.path()).into_iter().flatten().flatten() {
        if file
            .path()
            .extension()
            .is_some_and(|extension| extension == "deb")
        {
            let words = [Path::new("-x"), &file.path(), &root];
            let unpacked = host.command(&dpkg).args(words).status();
            if !unpacked.is_ok_and(|status| status.success()) {
                return Err(missing("a package cannot be unpacked"));
            }
        }
    }
    // The package brings no modules.dep: its installation makes one.
    let version = package.strip_prefix(PREFIX).unwrap_or_default();
    let busybox = root.join("bin/busybox");
    let words = [
        Path::new("depmod"),
        Path::new("-b"),
        &root,
        Path::new(version),
    ];
    let made = host.command(&busybox).args(words).status();
    if !made.is_ok_and(|status| status.success()) {
        return Err(missing("depmod of busybox fails on its modules"));
    }
    let io = |error| Failure::io("write to", folder, &error);
    fs::write(root.join("package"), package).map_err(io)?;
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(io)?;
    }
    fs::rename(&root, folder).map_err(io)?;
    step.done();
    Ok(())
}

/// The highest number of the series.
fn newest<'a>(series: &Series, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let number = |name: &str| -> Option<u32> {
        name.strip_prefix(series.name.0)?
            .strip_suffix(series.name.1)?
            .parse()
            .ok()
    };
    names
        .filter_map(|name| Some((number(name)?, name)))
        .max()
        .map(|(_, name)| name)
}

fn missing(what: &str) -> Failure {
    Failure::machine(
        format!("Debian's stock kernel is not here: {what}"),
        "run it on Debian bookworm with its security archive and a network, after `apt-get update`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_signed_kernel_is_taken() {
        let names = [
            "linux-image-6.12.9+deb12-cloud-amd64",
            "linux-image-6.12.117+deb12-cloud-amd64",
            "linux-image-6.12.118+deb12-cloud-amd64-unsigned",
            "linux-image-6.12.119+deb12-amd64",
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-image-6.1.0-51-amd64",
        ];
        assert_eq!(newest(&LINUX_6_12, names.into_iter()), Some(names[1]));
        assert_eq!(newest(&LINUX_6_1, names.into_iter()), Some(names[5]));
        assert_eq!(newest(&LINUX_6_1, [].into_iter()), None);
    }

    #[test]
    fn without_apt_it_is_said() {
        let home = tempfile::tempdir().unwrap();
        let mut host = Host::current();
        host.env.clear();
        host.env.insert("HOME".into(), home.path().into());
        for (offline, word) in [(true, "--offline"), (false, "no apt")] {
            let failure = stock(&host, &LINUX_6_12, offline).unwrap_err();
            assert!(failure.cause.contains(word), "{failure}");
        }
    }
}
