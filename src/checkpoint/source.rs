//! Bytes at any offset: a file, or a block of memory.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Random access without a position, so that threads may read side by side.
pub trait ReadAt: Send + Sync {
    fn len(&self) -> u64;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buffer` from `offset`; an error when the bytes end before that.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// A shared source of bytes.
pub type Source = Arc<dyn ReadAt>;

/// A file, its length taken once at opening.
pub struct FileSource {
    file: File,
    len: u64,
}

impl FileSource {
    pub fn open(path: &Path) -> io::Result<Self> {
        // Opening a pipe would wait for somebody to write to it.
        if !std::fs::metadata(path)?.is_file() {
            return Err(not_a_file());
        }
        Self::new(File::open(path)?)
    }

    /// Refuses what is no regular file: a folder, a pipe, a device.
    pub fn new(file: File) -> io::Result<Self> {
        let data = file.metadata()?;
        if !data.is_file() {
            return Err(not_a_file());
        }
        let len = data.len();
        Ok(Self { file, len })
    }

    pub fn file(&self) -> &File {
        &self.file
    }
}

fn not_a_file() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "expected a regular file, found a folder, pipe or device",
    )
}

impl ReadAt for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    #[cfg(unix)]
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }

    #[cfg(windows)]
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        use std::os::windows::fs::FileExt;
        while !buffer.is_empty() {
            match self.file.seek_read(buffer, offset)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => {
                    buffer = &mut buffer[n..];
                    offset += n as u64;
                }
            }
        }
        Ok(())
    }
}

impl ReadAt for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..)?.get(..buffer.len()))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// A stretch of another source, seen as a source of its own.
pub struct Window {
    inner: Source,
    start: u64,
    len: u64,
}

impl Window {
    /// `None` when the stretch is not wholly inside `inner`.
    pub fn new(inner: Source, start: u64, len: u64) -> Option<Self> {
        let end = start.checked_add(len)?;
        (end <= inner.len()).then_some(Self { inner, start, len })
    }
}

impl ReadAt for Window {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.inner.read_exact_at(buffer, self.start + offset)
    }
}

/// Reads a small stretch whole. The caller has bounded `len`.
pub fn read_vec(source: &dyn ReadAt, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let end = offset.checked_add(len as u64);
    if end.is_none_or(|end| end > source.len()) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = vec![0; len];
    source.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}
