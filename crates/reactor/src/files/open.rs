//! Opening files and block devices, and finding out what they are.

use crate::errno::{check, of};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use stdx::env::{FileExtent, FileInfo, IoError, OpenFile};

/// Opens what `open` names, or makes it.
pub(super) fn open(open: &OpenFile) -> Result<(OwnedFd, FileInfo), IoError> {
    let file = match existing(open) {
        Err(IoError::NotFound) if open.create.is_some() => create(open)?,
        other => other?,
    };
    let info = examine(&file, open)?;
    Ok((file.into(), info))
}

fn existing(open: &OpenFile) -> Result<File, IoError> {
    let kind = std::fs::metadata(&open.path).map_err(error)?.file_type();
    // A pipe, a terminal or a directory is no volume, and opening one may block.
    if !kind.is_file() && !kind.is_block_device() {
        return Err(IoError::Unsupported);
    }
    options(open).open(&open.path).map_err(error)
}

fn create(open: &OpenFile) -> Result<File, IoError> {
    let len = open.create.unwrap_or(0);
    let file = options(open).create_new(true).mode(0o600).open(&open.path).map_err(error)?;
    if let Err(failed) = file.set_len(len) {
        // We made it, nobody has used it, and it is of no use.
        let _ = std::fs::remove_file(&open.path);
        return Err(error(failed));
    }
    Ok(file)
}

fn options(open: &OpenFile) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(!open.read_only);
    if open.direct {
        options.custom_flags(libc::O_DIRECT);
    }
    options
}

fn examine(file: &File, open: &OpenFile) -> Result<FileInfo, IoError> {
    let is_device = file.metadata().map_err(error)?.file_type().is_block_device();
    let fd = file.as_raw_fd();
    let block_size = if is_device { logical_block(fd)? } else { 512 };
    let alignment = if open.direct { direct_alignment(fd).unwrap_or(4096).max(block_size) } else { 1 };
    let can_punch = !open.read_only && (is_device || punches(fd));
    Ok(FileInfo { len: len(fd, is_device)?, block_size, alignment, is_device, can_punch })
}

/// Bytes of a file or device now.
pub(super) fn len(fd: RawFd, is_device: bool) -> Result<u64, IoError> {
    if is_device {
        let mut bytes = 0_u64;
        // SAFETY: this ioctl writes one u64 (include/uapi/linux/fs.h: BLKGETSIZE64).
        check(unsafe { libc::ioctl(fd, BLKGETSIZE64, &raw mut bytes) })?;
        return Ok(bytes);
    }
    // SAFETY: stat is plain integers, for which zero is a value.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: the kernel writes one stat, which lives on this stack.
    check(unsafe { libc::fstat(fd, &raw mut stat) })?;
    Ok(stat.st_size as u64)
}

/// What is known of the space behind the bytes from `offset` on: a device or a file system that cannot tell has space
/// everywhere.
pub(super) fn extent(fd: RawFd, is_device: bool, offset: u64) -> Result<FileExtent, IoError> {
    let left = len(fd, is_device)?.saturating_sub(offset);
    let all = FileExtent { len: left, mapped: true };
    if is_device || left == 0 {
        return Ok(all);
    }
    match seek(fd, offset, libc::SEEK_DATA) {
        Ok(data) if data > offset => Ok(FileExtent { len: left.min(data - offset), mapped: false }),
        Ok(_) => Ok(match seek(fd, offset, libc::SEEK_HOLE) {
            Ok(hole) if hole > offset => FileExtent { len: left.min(hole - offset), mapped: true },
            // It became a hole a moment ago, or there is none.
            _ => all,
        }),
        Err(libc::ENXIO) => Ok(FileExtent { len: left, mapped: false }),
        Err(_) => Ok(all),
    }
}

/// Where the next byte with space, or without, is. It moves the descriptor's own position, which nothing else uses.
fn seek(fd: RawFd, offset: u64, whence: libc::c_int) -> Result<u64, libc::c_int> {
    let offset = i64::try_from(offset).map_err(|_| libc::EINVAL)?;
    // SAFETY: the call takes integers only.
    let found = unsafe { libc::lseek(fd, offset, whence) };
    u64::try_from(found).map_err(|_| io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

/// Makes a regular file `len` bytes long.
pub(super) fn resize(fd: RawFd, len: u64) -> Result<(), IoError> {
    let len = i64::try_from(len).map_err(|_| IoError::NoSpace)?;
    // SAFETY: the call takes integers only.
    check(unsafe { libc::ftruncate(fd, len) })?;
    Ok(())
}

fn logical_block(fd: RawFd) -> Result<u32, IoError> {
    let mut bytes = 0_i32;
    // SAFETY: this ioctl writes one int (include/uapi/linux/fs.h: BLKSSZGET).
    check(unsafe { libc::ioctl(fd, BLKSSZGET, &raw mut bytes) })?;
    u32::try_from(bytes).map_err(|_| IoError::Unsupported)
}

/// What direct transfers must be multiples of, if the kernel says (Linux 6.1).
fn direct_alignment(fd: RawFd) -> Option<u32> {
    // SAFETY: statx is plain integers, for which zero is a value.
    let mut stat: libc::statx = unsafe { core::mem::zeroed() };
    // SAFETY: the path is an empty C string, which AT_EMPTY_PATH makes mean the descriptor; one statx is written.
    let result =
        unsafe { libc::statx(fd, c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_DIOALIGN, &raw mut stat) };
    let told = result == 0 && stat.stx_mask & libc::STATX_DIOALIGN != 0 && stat.stx_dio_offset_align != 0;
    told.then(|| stat.stx_dio_offset_align.max(stat.stx_dio_mem_align))
}

/// True if the file system can give space back. Nothing is lost by trying it past the end.
fn punches(fd: RawFd) -> bool {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let past_end = len(fd, false).unwrap_or(0).next_multiple_of(1 << 20);
    // SAFETY: the call takes integers only.
    unsafe { libc::fallocate(fd, mode, past_end as i64, 4096) == 0 }
}

fn error(error: io::Error) -> IoError {
    error.raw_os_error().map_or(IoError::Media, |errno| match errno {
        // O_DIRECT where the file system has none.
        libc::EINVAL => IoError::Unsupported,
        other => of(other),
    })
}

/// include/uapi/linux/fs.h: _IOR(0x12, 114, size_t).
const BLKGETSIZE64: libc::c_ulong = 0x8008_1272;

/// include/uapi/linux/fs.h: _IO(0x12, 104).
const BLKSSZGET: libc::c_ulong = 0x1268;
