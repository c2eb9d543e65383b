//! Objects on their way from one place to another, several at once, each proved by its name.

use super::Job;
use super::listing::object_name;
use crate::backend::Backend;
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::ObjectRef;
use crate::progress::{Counter, Progress};
use crate::repo::on_threads;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Most objects that are in memory at a time.
const THREADS_MAX: usize = 8;

/// What became of some objects.
#[derive(Debug, Default, Clone, Copy)]
pub struct Copied {
    /// How many arrived.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many could not be had, each named to who watches.
    pub damaged: u64,
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
    let (next, copied) = (AtomicUsize::new(0), Sum::default());
    on_threads(threads(job.from, job.to), &|| {
        while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
            job.interrupt.check()?;
            one(job, object, &copied)?;
        }
        Ok(())
    })?;
    Ok(copied.get())
}

#[derive(Default)]
struct Sum {
    objects: AtomicU64,
    bytes: AtomicU64,
    damaged: AtomicU64,
    gone: AtomicU64,
}

impl Sum {
    fn get(&self) -> Copied {
        let [objects, bytes, damaged, gone] =
            [&self.objects, &self.bytes, &self.damaged, &self.gone]
                .map(|count| count.load(Ordering::Relaxed));
        Copied {
            objects,
            bytes,
            damaged,
            gone,
        }
    }
}

fn one(job: &Job<'_>, object: &ObjectRef, copied: &Sum) -> Result<()> {
    let name = object_name(object);
    let add = |count: &AtomicU64, by| count.fetch_add(by, Ordering::Relaxed);
    match proved(job.from, object, &name) {
        Ok(bytes) => {
            job.to.put(&name, &bytes)?;
            let len = bytes.len() as u64;
            add(&copied.objects, 1);
            add(&copied.bytes, len);
            job.progress.count(Counter::Bytes, len);
            job.progress.count(Counter::Objects, 1);
        }
        Err(e) if e.kind() == ErrorKind::NotFound => drop(add(&copied.gone, 1)),
        Err(e) if e.is_lost() => {
            add(&copied.damaged, 1);
            job.progress.problem(Path::new(&name), &e);
        }
        Err(e) => return Err(e),
    }
    Ok(())
}

/// The bytes of an object that are what its name says.
fn proved(from: &dyn Backend, object: &ObjectRef, name: &str) -> Result<Vec<u8>> {
    let right = |bytes: &Vec<u8>| blake3::hash(bytes).as_bytes() == &object.id;
    let first = from.get(name)?;
    if right(&first) {
        return Ok(first);
    }
    // What was garbled on its way only is not damaged.
    drop(first);
    let second = from.get(name)?;
    match right(&second) {
        true => Ok(second),
        false => Err(Error::damaged(Subject::Object(name.to_owned()))
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
            match proved(job.to, object, &object_name(object)) {
                Ok(_) => {}
                Err(e) if e.is_lost() => wrong.push(*object),
                Err(e) => return Err(e),
            }
        }
        Ok(wrong)
    })?;
    Ok(found.concat())
}

/// Copies checkpoints, which their readers prove: those that have gone are passed over.
pub fn checkpoints<'a>(job: &Job<'_>, names: impl Iterator<Item = &'a String>) -> Result<()> {
    for name in names {
        job.interrupt.check()?;
        match job.from.get(name) {
            Ok(bytes) => job.to.put(name, &bytes)?,
            Err(e) if e.is_lost() => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Whether an object is there and is what its name says.
pub fn is_whole(place: &dyn Backend, object: &ObjectRef) -> Result<bool> {
    match place.get(&object_name(object)) {
        Ok(bytes) => Ok(blake3::hash(&bytes).as_bytes() == &object.id),
        Err(e) if e.is_lost() => Ok(false),
        Err(e) => Err(e),
    }
}
