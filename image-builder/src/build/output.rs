//! Files appear in the output folder complete or not at all.

use crate::{Failure, Result};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Files that wait in a temporary folder beside their destination.
#[derive(Debug)]
pub struct Output {
    waiting: tempfile::TempDir,
    folder: PathBuf,
    names: Vec<String>,
}

impl Output {
    /// Prepares to fill `folder`, which need not exist. Nothing in it changes before
    /// [`Output::publish`].
    pub fn prepare(folder: &Path) -> Result<Self> {
        if folder.exists() && !folder.is_dir() {
            let cause = format!("{} is not a folder", folder.display());
            return Err(Failure::user(cause, "name another folder with --out"));
        }
        let absolute = std::path::absolute(folder)
            .map_err(|error| Failure::io("find the folder", folder, &error))?;
        let beside = absolute.parent().unwrap_or(&absolute);
        fs::create_dir_all(beside).map_err(|error| Failure::io("create", beside, &error))?;
        let waiting = tempfile::Builder::new()
            .prefix(".tessera-")
            .tempdir_in(beside)
            .map_err(|error| Failure::io("write to", beside, &error))?;
        Ok(Self {
            waiting,
            folder: absolute,
            names: Vec::new(),
        })
    }

    /// Adds a file with these bytes, written through to the disk.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let write = || -> io::Result<()> {
            let mut file = fs::File::create(self.waiting.path().join(name))?;
            io::Write::write_all(&mut file, bytes)?;
            file.sync_all()
        };
        write().map_err(|error| Failure::io("write", &self.folder.join(name), &error))?;
        self.names.push(name.to_owned());
        Ok(())
    }

    /// Moves every file into place, each in one step. Returns the folder.
    pub fn publish(self) -> Result<PathBuf> {
        fs::create_dir_all(&self.folder)
            .map_err(|error| Failure::io("create", &self.folder, &error))?;
        for name in &self.names {
            let target = self.folder.join(name);
            fs::rename(self.waiting.path().join(name), &target)
                .map_err(|error| Failure::io("write", &target, &error))?;
        }
        Ok(self.folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_appears_before_publish_and_nothing_stays_behind() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("deep/out");
        let mut output = Output::prepare(&folder).unwrap();
        output.add("a", b"1").unwrap();
        assert!(!folder.exists());
        drop(output);
        assert_eq!(fs::read_dir(base.path().join("deep")).unwrap().count(), 0);

        let mut output = Output::prepare(&folder).unwrap();
        output.add("a", b"1").unwrap();
        output.add("b", b"2").unwrap();
        output.publish().unwrap();
        assert_eq!(fs::read(folder.join("b")).unwrap(), b"2");
        assert_eq!(fs::read_dir(base.path().join("deep")).unwrap().count(), 1);
    }

    #[test]
    fn a_full_disk_leaves_the_old_files() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("out");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a"), b"old").unwrap();
        let mut output = Output::prepare(&folder).unwrap();
        // The kernel answers every write to /dev/full with ENOSPC.
        std::os::unix::fs::symlink("/dev/full", output.waiting.path().join("a")).unwrap();
        let failure = output.add("a", b"new").unwrap_err();
        assert!(
            failure.cause.contains("no space left on device"),
            "{failure}"
        );
        drop(output);
        assert_eq!(fs::read(folder.join("a")).unwrap(), b"old");
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_no_folder() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("out");
        fs::write(&file, b"x").unwrap();
        let failure = Output::prepare(&file).unwrap_err();
        assert_eq!(failure.party, crate::Party::User);
    }
}
