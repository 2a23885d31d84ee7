//! A disk whose power can be cut: an ext4 file system on a loop device, shut down by ioctl without
//! flushing its log, so that what no sync reached is gone.
//!
//! Needs root, a loop device, e2fsprogs and python3 (for the one ioctl: the workspace has no unsafe
//! code).

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// `EXT4_IOC_SHUTDOWN` is `_IOR('X', 125, u32)`; 2 is "no log flush".
const SHUTDOWN: &str = "import fcntl,os,struct,sys; fd=os.open(sys.argv[1],os.O_RDONLY); \
                        fcntl.ioctl(fd,(2<<30)|(4<<16)|(ord('X')<<8)|125,struct.pack('I',2))";

/// A mounted image; unmounted and removed when dropped.
pub struct DiskImage {
    file: PathBuf,
    mount_point: PathBuf,
    _folder: tempfile::TempDir,
}

impl DiskImage {
    /// Makes and mounts one. The error says what is missing.
    pub fn create(mib: u64) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let (file, mount_point) = (folder.path().join("disk.img"), folder.path().join("disk"));
        std::fs::create_dir(&mount_point)?;
        std::fs::File::create(&file)?.set_len(mib << 20)?;
        run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), file.as_path()])?;
        let image = Self {
            file,
            mount_point,
            _folder: folder,
        };
        image.mount()?;
        Ok(image)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount_point
    }

    /// The power goes: from now on nothing reaches the disk.
    pub fn cut(&self) -> io::Result<()> {
        run(
            "python3",
            &["-c".as_ref(), SHUTDOWN.as_ref(), self.mount_point.as_path()],
        )
    }

    /// The power is back: unmounts and mounts again; the file system replays its journal.
    pub fn restore(&self) -> io::Result<()> {
        self.unmount()?;
        self.mount()
    }

    fn mount(&self) -> io::Result<()> {
        let options: [&Path; 4] = [
            "-o".as_ref(),
            "loop".as_ref(),
            self.file.as_path(),
            self.mount_point.as_path(),
        ];
        run("mount", &options)
    }

    fn unmount(&self) -> io::Result<()> {
        let mut last = Ok(());
        for _ in 0..200 {
            last = run("umount", &[self.mount_point.as_path()]);
            if last.is_ok() {
                return last;
            }
            thread::sleep(Duration::from_millis(20));
        }
        last
    }
}

impl Drop for DiskImage {
    fn drop(&mut self) {
        // Nothing more can be done about a mount that does not go away.
        let _left = self.unmount();
    }
}

fn run(program: &str, arguments: &[&Path]) -> io::Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("{program}: {text}")))
}
