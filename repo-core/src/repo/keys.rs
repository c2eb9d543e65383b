//! Key slots: several passwords and key files for one repository.

use super::open::{OpenOptions, wrong_password};
use super::{Repo, Shared};
use crate::backend::Backend;
use crate::crypto::{KdfParams, Role, SealPublic};
use crate::error::{Error, ErrorKind, Result, Subject};
use crate::format::entry::{Action, Member};
use crate::format::key_slot::{self, Credential, Holder, Label, Slot, SlotKind};
use crate::format::name::{CONFIG, ObjectKind};
use crate::id::{KeyId, RepositoryId, from_hex};
use crate::log::State;

/// A key slot as `key list` shows it.
#[derive(Debug, Clone)]
pub struct KeyInfo {
    /// The slot.
    pub id: KeyId,
    /// What opens it.
    pub kind: SlotKind,
    /// What its holder may do.
    pub role: Role,
    /// Whom it belongs to; `None` if its label does not open.
    pub label: Option<Label>,
    /// Whether this process opened the repository with it.
    pub current: bool,
}

/// Whom a slot belongs to from now on; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct NewOwner {
    /// The user's name.
    pub user: Option<String>,
    /// The host's name.
    pub host: Option<String>,
}

/// Why no new credential came to be in use, and whether it may be all the same.
#[derive(Debug)]
pub struct KeyFailure {
    /// What went wrong.
    pub error: Error,
    /// Whether a slot that the new credential opens stands, or may: then nobody may throw it away.
    pub slot_may_stand: bool,
}

impl From<Error> for KeyFailure {
    fn from(error: Error) -> Self {
        Self {
            error,
            slot_may_stand: false,
        }
    }
}

/// A slot that got another credential.
#[derive(Debug)]
pub struct Changed {
    /// The slot from now on.
    pub id: KeyId,
    /// Why the old slot could not be deleted: its credential still opens the repository.
    pub left: Option<Error>,
}

/// The slots of a place by id, those that begin with `hint` first, at most [`key_slot::SLOTS_MAX`].
fn slots(backend: &dyn Backend, hint: Option<&str>) -> Result<Vec<KeyId>> {
    let mut ids = Vec::new();
    backend.list(ObjectKind::Key.folder(), &mut |listed| {
        match ObjectKind::parse(&listed.name) {
            Some((ObjectKind::Key, id)) if listed.len <= key_slot::SLOT_BYTES_MAX => {
                ids.push(KeyId(id));
            }
            _ => {}
        }
        Ok(())
    })?;
    ids.sort_by_key(|id| (!hint.is_some_and(|hint| id.to_hex().starts_with(hint)), *id));
    ids.truncate(key_slot::SLOTS_MAX);
    Ok(ids)
}

/// Loads a slot; `Damaged` if its bytes are not what its name says.
fn load(backend: &dyn Backend, id: &KeyId) -> Result<(Vec<u8>, Slot)> {
    let about = |e: Error| e.about(Subject::Key(*id));
    let bytes = backend.get(&ObjectKind::Key.name(&id.0))?;
    if KeyId::from(blake3::hash(&bytes)) != *id {
        return Err(Error::damaged(Subject::Key(*id)).detail("content is not what its name says"));
    }
    let slot = key_slot::parse(&bytes).map_err(about)?;
    Ok((bytes, slot))
}

/// The first slot that a credential opens; `last`, which opened the repository before, is tried first and saves a listing.
///
/// A slot of the wrong kind is not tried, nor one that an `init` left that was stopped early, which belongs to no
/// repository; one that asks for too much, or is damaged, is the error if no other opens. If none at all belongs to
/// this repository, it is not the credential that is wrong but the id in `config`: `Damaged`. `NotFound` if no slot begins
/// with the hint.
pub fn open_any(
    backend: &dyn Backend,
    repository: RepositoryId,
    credential: &Credential,
    options: &OpenOptions,
    last: Option<KeyId>,
) -> Result<(KeyId, Holder)> {
    let max = options.kdf_max.unwrap_or(KdfParams::MAX);
    let last = last.filter(|_| options.key_hint.is_none());
    let mut tried = None;
    if let Some(id) = last
        && let Ok((_, slot)) = load(backend, &id)
        && slot.is_of(repository)
    {
        match key_slot::open(&slot, repository, credential, &max) {
            Ok(holder) => return Ok((id, holder)),
            Err(e) if e.kind() == ErrorKind::WrongPassword => tried = Some(id),
            Err(_) => {}
        }
    }
    let mut worst = None;
    let mut of_this = tried.is_some();
    let ids = slots(backend, options.key_hint.as_deref())?;
    let Some(first) = ids.first() else {
        return Err(Error::missing(Subject::Object("keys".into())).detail("there is no key slot"));
    };
    if let Some(hint) = options
        .key_hint
        .as_deref()
        .filter(|hint| !first.to_hex().starts_with(hint))
    {
        return Err(
            Error::new(ErrorKind::NotFound, Subject::Setting("key hint".into()))
                .detail(format!("no key slot begins with {hint}")),
        );
    }
    for id in ids.into_iter().filter(|id| Some(*id) != tried) {
        let opened = load(backend, &id).and_then(|(_, slot)| match slot.is_of(repository) {
            true => {
                of_this = true;
                key_slot::open(&slot, repository, credential, &max).map(Some)
            }
            false => Ok(None),
        });
        match opened {
            Ok(Some(holder)) => return Ok((id, holder)),
            Ok(None) => {}
            Err(e) if e.kind() == ErrorKind::WrongPassword => {}
            Err(e) => worst = Some(e.about(Subject::Key(id))),
        }
    }
    Err(worst.unwrap_or_else(|| match of_this {
        true => wrong_password(backend),
        false => Error::damaged(Subject::Object(CONFIG.to_owned()))
            .detail("no key slot belongs to the repository that it names"),
    }))
}

impl Shared {
    /// The slot that this process opened the repository with.
    pub fn key(&self) -> KeyId {
        self.key
    }
}

impl Repo {
    /// All key slots, in order of their ids. A slot that cannot be read is an error.
    pub fn keys(&self) -> Result<Vec<KeyInfo>> {
        let describe = |id: KeyId| {
            let (_, slot) = load(self.backend(), &id)?;
            if !slot.is_of(self.id()) {
                return Ok(None);
            }
            Ok(Some(KeyInfo {
                id,
                kind: slot.kind,
                label: key_slot::label(self.envelopes(), &slot).ok(),
                role: key_slot::role_of(&slot)?,
                current: id == self.key(),
            }))
        };
        slots(self.backend(), None)?
            .into_iter()
            .filter_map(|id| describe(id).transpose())
            .collect()
    }

    /// Adds a slot of full access under `credential`.
    ///
    /// Steps: the `Roles` entry that lists the new writer, then the slot. A stop in between leaves a writer that nobody
    /// can sign as; such ones, whose slots are not there, are taken off the list by the way. `Denied` if the slot in use was removed.
    pub fn key_add(
        &self,
        credential: &Credential,
        kdf: KdfParams,
        label: &Label,
    ) -> Result<KeyId, KeyFailure> {
        if slots(self.backend(), None)?.len() >= key_slot::SLOTS_MAX {
            let detail = format!(
                "has {} key slots already, which is the most",
                key_slot::SLOTS_MAX
            );
            let place = Subject::Repository(self.place());
            let full = Error::new(ErrorKind::InvalidInput, place).detail(detail);
            return Err(full.into());
        }
        let domains = self.holder.domains.clone();
        let slot = key_slot::create(
            self.envelopes(),
            Role::Full,
            &domains,
            credential,
            kdf,
            label,
        )?;
        let member = Member {
            writer: slot.holder.signer.public(),
            seal: slot.holder.seal,
            role: Role::Full,
            domains,
            ext: Vec::new(),
        };
        let add = |members: &mut Vec<Member>| {
            self.drop_slotless(members)?;
            members.push(member.clone());
            Ok(())
        };
        self.append_roles(&add, Vec::new())?;
        let id = self.put_slot(&slot.bytes)?;
        // Somebody else who added one meanwhile may have missed the slot.
        let settled =
            self.fold()
                .and_then(|()| match self.state().member(&member.writer).is_some() {
                    true => Ok(()),
                    false => self.append_roles(&add, Vec::new()),
                });
        settled.map(|()| id).map_err(|error| KeyFailure {
            error,
            slot_may_stand: true,
        })
    }

    /// Takes those off the list whose slots are not there. With a slot that cannot be read nobody knows whose that is.
    fn drop_slotless(&self, members: &mut Vec<Member>) -> Result<()> {
        let slots = self.slot_seals(None)?;
        let me = self.writer();
        if slots.all_read {
            members.retain(|member| member.writer == me || slots.seals.contains(&member.seal));
        }
        Ok(())
    }

    /// Removes a slot, and its writer from those who are allowed unless another slot of theirs is there. Copies of the
    /// slot that somebody kept still open what is there today; only a new epoch protects new data from them.
    ///
    /// `InvalidInput` for the slot in use, and if no other one of full access would be left. `Denied` if the slot in use was
    /// removed: of two who remove each other, one stays.
    pub fn key_remove(&self, id: &KeyId) -> Result<()> {
        if *id == self.key() {
            return Err(Error::new(ErrorKind::InvalidInput, Subject::Key(*id))
                .detail("is in use right now"));
        }
        let (_, slot) = load(self.backend(), id).map_err(|e| match e.kind() {
            ErrorKind::NotFound => Error::new(ErrorKind::NotFound, Subject::Key(*id)),
            _ => e,
        })?;
        let seal = seal_of(&slot).map_err(|e| e.about(Subject::Key(*id)))?;
        let me = self.writer();
        let remove = |members: &mut Vec<Member>| {
            let others = self.slot_seals(Some(id))?.seals;
            let gone = |member: &Member| {
                member.seal == seal && member.writer != me && !others.contains(&seal)
            };
            members.retain(|member| !gone(member));
            check_one_remains(id, &others, members)
        };
        self.append_roles(&remove, vec![*id])?;
        // On class C others may have appended at the same time.
        let state = self.state();
        self.check_member(&state)?;
        check_one_remains(id, &self.slot_seals(Some(id))?.seals, state.members())?;
        self.delete_slot(id)
    }

    /// Gives the slot in use another credential, and another user and host if they are given; the writer stays the same.
    ///
    /// Steps: the new slot, a `Roles` entry that names the old one removed, deletion of the old one. `Denied` if the slot in
    /// use was removed.
    pub fn key_passwd(
        &self,
        old: &Credential,
        new: &Credential,
        kdf: KdfParams,
        owner: &NewOwner,
    ) -> Result<Changed, KeyFailure> {
        // Whatever can be refused is refused before anything is put.
        self.ring().admin()?;
        self.fold()?;
        self.check_member(&self.state())?;
        let (bytes, slot) = load(self.backend(), &self.key())?;
        let mut changed = key_slot::change_credential(self.envelopes(), &bytes, old, new, kdf)?;
        if owner.user.is_some() || owner.host.is_some() {
            let mut label = key_slot::label(self.envelopes(), &slot)?;
            label.user = owner.user.clone().unwrap_or(label.user);
            label.host = owner.host.clone().unwrap_or(label.host);
            changed = key_slot::change_label(self.envelopes(), &changed, &label)?;
        }
        let id = self.put_slot(&changed)?;
        self.append_roles(&|_| Ok(()), vec![self.key()])
            .map_err(|error| KeyFailure {
                error,
                slot_may_stand: true,
            })?;
        let left = self.delete_slot(&self.key()).err();
        Ok(Changed { id, left })
    }

    fn put_slot(&self, bytes: &[u8]) -> Result<KeyId, KeyFailure> {
        let id = KeyId::from(blake3::hash(bytes));
        let name = ObjectKind::Key.name(&id.0);
        let Err(error) = self.backend().put(&name, bytes) else {
            return Ok(id);
        };
        // Without an answer of the system's own it may be on its way still.
        let on_its_way = error.kind() == ErrorKind::Unavailable
            && error
                .io_cause()
                .is_none_or(|cause| cause.raw_os_error().is_none());
        let there = !matches!(self.backend().size(&name), Ok(None));
        Err(KeyFailure {
            error,
            slot_may_stand: on_its_way || there,
        })
    }

    /// Deletes a slot. That no answer came is no error if it is gone.
    fn delete_slot(&self, id: &KeyId) -> Result<()> {
        let name = ObjectKind::Key.name(&id.0);
        self.backend()
            .delete(&name)
            .or_else(|error| match self.backend().size(&name) {
                Ok(None) => Ok(()),
                _ => Err(error.about(Subject::Key(*id))),
            })
    }

    /// The public keys that all slots are sealed to, but one.
    fn slot_seals(&self, but: Option<&KeyId>) -> Result<SlotSeals> {
        let mut found = SlotSeals {
            seals: Vec::new(),
            all_read: true,
        };
        for id in slots(self.backend(), None)? {
            let seal =
                load(self.backend(), &id).and_then(|(_, slot)| match slot.is_of(self.id()) {
                    true => seal_of(&slot).map(Some),
                    false => Ok(None),
                });
            match seal {
                _ if Some(&id) == but => {}
                Ok(seal) => found.seals.extend(seal),
                Err(e) if is_unusable(&e) => found.all_read = false,
                Err(e) => return Err(e),
            }
        }
        Ok(found)
    }

    /// Whoever was removed still holds the admin's key, and must not use it. `Denied`.
    fn check_member(&self, state: &State) -> Result<()> {
        match state.member(&self.writer()) {
            Some(member) if member.role == Role::Full => Ok(()),
            _ => Err(Error::new(ErrorKind::Denied, Subject::Key(self.key()))
                .detail("was removed by somebody else")),
        }
    }

    fn append_roles(
        &self,
        change: &dyn Fn(&mut Vec<Member>) -> Result<()>,
        removed: Vec<KeyId>,
    ) -> Result<()> {
        let admin = self.ring().admin()?;
        let make = |state: &State| {
            self.check_member(state)?;
            let mut members = state.members().to_vec();
            change(&mut members)?;
            Ok(Some(Action::Roles {
                members,
                removed: removed.clone(),
            }))
        };
        self.append_as(&admin, &mut |state| make(state))?;
        Ok(())
    }
}

/// The public keys of slots.
struct SlotSeals {
    seals: Vec<SealPublic>,
    /// Whether every slot could be used. One that could not counts for nothing.
    all_read: bool,
}

/// The public key that a slot's bundle is sealed to, and its secret bound to: unlike the label, nobody can change it in a
/// slot that still opens.
fn seal_of(slot: &Slot) -> Result<SealPublic> {
    let seal = from_hex(&slot.seal_public).and_then(|bytes| bytes.try_into().ok());
    seal.map(SealPublic)
        .ok_or_else(|| Error::damaged(Subject::None).detail("key slot: public key"))
}

fn is_unusable(error: &Error) -> bool {
    use ErrorKind::{Damaged, NotFound, Unsupported};
    matches!(error.kind(), Damaged | NotFound | Unsupported)
}

/// `InvalidInput` if no slot of a member with full access is left.
fn check_one_remains(id: &KeyId, seals: &[SealPublic], members: &[Member]) -> Result<()> {
    let usable = |member: &Member| member.role == Role::Full && seals.contains(&member.seal);
    match members.iter().any(usable) {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::InvalidInput, Subject::Key(*id))
            .detail("is the last one of full access")),
    }
}
