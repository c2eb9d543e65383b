//! Objects on their way from one place to another, several at once, each proved by its name.

use super::Job;
use super::listing::object_name;
use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::ObjectRef;
use crate::progress::{Counter, Progress};
use crate::repo::on_threads;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most objects that are in memory at a time.
const THREADS_MAX: usize = 8;

/// What became of some objects.
#[derive(Debug, Default)]
pub struct Copied {
    /// How many arrived.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What could not be had, each named to who watches.
    pub damaged: Vec<ObjectRef>,
    /// How many were gone by then.
    pub gone: u64,
}

/// How many threads both places bear.
pub fn threads(from: &dyn Backend, to: &dyn Backend) -> usize {
    let (from, to) = (from.limits().connections, to.limits().connections);
    from.min(to).clamp(1, THREADS_MAX)
}

/// Copies objects whose names are hashes. One that is not what its name says is read once more, then named as a problem and left out.
pub fn objects(job: &Job<'_>, objects: &[ObjectRef]) -> Result<Copied> {
    let next = AtomicUsize::new(0);
    let parts = on_threads(threads(job.from, job.to), &|| {
        let mut copied = Copied::default();
        while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
            job.interrupt.check()?;
            copied.add(job, object)?;
        }
        Ok(copied)
    })?;
    Ok(parts.into_iter().fold(Copied::default(), Copied::and))
}

impl Copied {
    fn add(&mut self, job: &Job<'_>, object: &ObjectRef) -> Result<()> {
        let name = object_name(object);
        match proved(job.from, object) {
            Ok(bytes) => {
                job.to.put(&name, &bytes)?;
                let len = bytes.len() as u64;
                self.objects += 1;
                self.bytes += len;
                job.progress.count(Counter::Bytes, len);
                job.progress.count(Counter::Objects, 1);
            }
            Err(e) if e.kind() == ErrorKind::NotFound => self.gone += 1,
            Err(e) if e.is_lost() => {
                self.damaged.push(*object);
                job.progress.problem(Path::new(&name), &e);
            }
            Err(e) => return Err(e),
        }
        Ok(())
    }

    fn and(mut self, other: Self) -> Self {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.damaged.extend(other.damaged);
        self.gone += other.gone;
        self
    }
}

/// The bytes of an object that are what its name says.
pub fn proved(from: &dyn Backend, object: &ObjectRef) -> Result<Vec<u8>> {
    let name = object_name(object);
    let right = |bytes: &Vec<u8>| blake3::hash(bytes).as_bytes() == &object.id;
    let first = from.get(&name)?;
    if right(&first) {
        return Ok(first);
    }
    // What was garbled on its way only is not damaged.
    drop(first);
    let second = from.get(&name)?;
    match right(&second) {
        true => Ok(second),
        false => Err(Error::damaged(Subject::Object(name))
            .detail("is not what its name says, and was not copied")),
    }
}

/// Which of these objects of the replica are not what their names say, or cannot be read. Reads all of them.
pub fn not_as_named(job: &Job<'_>, objects: &[ObjectRef]) -> Result<Vec<ObjectRef>> {
    let next = AtomicUsize::new(0);
    let threads = job.to.limits().connections.clamp(1, THREADS_MAX);
    let found = on_threads(threads, &|| {
        let mut wrong = Vec::new();
        while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
            job.interrupt.check()?;
            if !is_whole(job.to, object)? {
                wrong.push(*object);
            }
        }
        Ok(wrong)
    })?;
    Ok(found.concat())
}

/// Whether an object is there and is what its name says, at the second reading at the latest.
pub fn is_whole(place: &dyn Backend, object: &ObjectRef) -> Result<bool> {
    match proved(place, object) {
        Ok(_) => Ok(true),
        Err(e) if e.is_lost() => Ok(false),
        Err(e) => Err(e),
    }
}
