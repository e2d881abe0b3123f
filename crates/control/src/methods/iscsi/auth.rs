//! What initiators must prove, and by which accounts.

use std::rc::Rc;

use scsi::iscsi::login::Secret;
use scsi::iscsi::login::chap::{ChapAccount, ChapAccounts, ChapAlgorithm};
use scsi::iscsi::target::{AuthGroup, ChapPolicy, NodeAuthentication, Registry, RegistryError};

use super::params::{
    AddSecret, CreateAuthGroup, RemoveSecret, SecretEntry, SetDiscoveryAuth, SetPortalGroupAuth, Tag,
};
use super::{registry_error, results, tag};
use crate::error::{Errno, RpcError};
use crate::fabric::At;
use crate::method::NoParams;

/// SPDK's four parameters that say what is to be proven.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted {
    pub(super) disable: Option<bool>,
    pub(super) require: Option<bool>,
    pub(super) mutual: Option<bool>,
    pub(super) group: Option<i32>,
}

impl Wanted {
    /// What they mean. With neither of the first two, CHAP is for those who offer it.
    pub(super) fn authentication(self, registry: &Registry) -> Result<NodeAuthentication, RpcError> {
        let yes = |flag: Option<bool>| flag.unwrap_or(false);
        let chap = match (yes(self.disable), yes(self.require)) {
            (true, true) => return Err(Errno::Invalid.because("CHAP cannot be both disabled and required")),
            (true, false) => ChapPolicy::Disabled,
            (false, true) => ChapPolicy::Required,
            (false, false) => ChapPolicy::Offered,
        };
        let mutual = yes(self.mutual);
        if mutual && chap != ChapPolicy::Required {
            return Err(Errno::Invalid.because("mutual CHAP is for those who must prove themselves"));
        }
        let group = self.group.filter(|group| *group != 0).map(tag::<u32>).transpose()?;
        let is_known = |tag: &u32| registry.auth_groups().any(|group| group.tag == *tag);
        if group.is_some_and(|tag| !is_known(&tag)) {
            return Err(Errno::NoEntry.because("chap_group"));
        }
        Ok(NodeAuthentication { chap, mutual, group })
    }
}

pub(super) fn set_discovery(at: At<'_>, params: SetDiscoveryAuth) -> Result<bool, RpcError> {
    let wanted = Wanted {
        disable: params.disable_chap,
        require: params.require_chap,
        mutual: params.mutual_chap,
        group: params.chap_group,
    };
    let registry = at.shard.iscsi_mut().server_mut().registry_mut();
    let authentication = wanted.authentication(registry)?;
    registry.set_discovery(authentication);
    Ok(true)
}

pub(super) fn set_portal_group(at: At<'_>, params: SetPortalGroupAuth) -> Result<bool, RpcError> {
    let wanted = Wanted {
        disable: params.disable_chap,
        require: params.require_chap,
        mutual: params.mutual_chap,
        group: params.chap_group,
    };
    let registry = at.shard.iscsi_mut().server_mut().registry_mut();
    let authentication = wanted.authentication(registry)?;
    let group = registry.portal_group_mut(tag(params.tag)?);
    group.ok_or_else(|| registry_error(RegistryError::Unknown))?.discovery = Some(authentication);
    Ok(true)
}

pub(super) fn create(at: At<'_>, params: CreateAuthGroup) -> Result<bool, RpcError> {
    let mut accounts: Vec<ChapAccount> = Vec::new();
    for entry in params.secrets.unwrap_or_default() {
        let account = account(entry)?;
        if accounts.iter().any(|other| other.name == account.name) {
            return Err(Errno::Exists.because("two accounts of one name"));
        }
        accounts.push(account);
    }
    let group = AuthGroup { tag: tag(params.tag)?, accounts: chap_accounts(accounts)? };
    at.shard.iscsi_mut().server_mut().registry_mut().add_auth_group(group).map_err(registry_error)?;
    Ok(true)
}

pub(super) fn delete(at: At<'_>, params: Tag) -> Result<bool, RpcError> {
    let registry = at.shard.iscsi_mut().server_mut().registry_mut();
    registry.remove_auth_group(tag(params.tag)?).map_err(registry_error)?;
    Ok(true)
}

pub(super) fn get(at: At<'_>, _: NoParams) -> Result<Vec<results::AuthGroup>, RpcError> {
    let account = |account: &ChapAccount| results::Account {
        user: account.name.clone(),
        muser: account.mutual.as_ref().map(|(name, _)| name.clone()),
    };
    let groups = at.shard.iscsi().server().registry().auth_groups();
    let show = |group: &AuthGroup| results::AuthGroup {
        tag: group.tag,
        secrets: group.accounts.accounts.iter().map(account).collect(),
    };
    Ok(groups.map(show).collect())
}

pub(super) fn add_secret(at: At<'_>, params: AddSecret) -> Result<bool, RpcError> {
    let AddSecret { tag, user, secret, muser, msecret } = params;
    let added = account(SecretEntry { user, secret, muser, msecret })?;
    change(at, tag, |accounts| {
        if accounts.iter().any(|account| account.name == added.name) {
            return Err(Errno::Exists.because("the account is there already"));
        }
        accounts.push(added);
        Ok(())
    })
}

pub(super) fn remove_secret(at: At<'_>, params: RemoveSecret) -> Result<bool, RpcError> {
    change(at, params.tag, |accounts| {
        let before = accounts.len();
        accounts.retain(|account| account.name != params.user);
        if accounts.len() == before { Err(Errno::NoEntry.because("no such account")) } else { Ok(()) }
    })
}

/// Logins under way go on with the accounts they began with.
fn change(
    at: At<'_>,
    group: i32,
    change: impl FnOnce(&mut Vec<ChapAccount>) -> Result<(), RpcError>,
) -> Result<bool, RpcError> {
    let registry = at.shard.iscsi_mut().server_mut().registry_mut();
    let group = registry.auth_group_mut(tag(group)?).ok_or_else(|| registry_error(RegistryError::Unknown))?;
    let mut accounts = group.accounts.accounts.clone();
    change(&mut accounts)?;
    group.accounts = chap_accounts(accounts)?;
    Ok(true)
}

fn chap_accounts(accounts: Vec<ChapAccount>) -> Result<Rc<ChapAccounts>, RpcError> {
    if accounts.len() > ACCOUNTS_MAX {
        return Err(Errno::NoMemory.because("too many accounts in one group"));
    }
    let algorithms = ChapAlgorithm::ALL.to_vec();
    Ok(Rc::new(ChapAccounts { accounts, algorithms, mutual_required: false }))
}

fn account(entry: SecretEntry) -> Result<ChapAccount, RpcError> {
    let hide = |text: &str| {
        Secret::new(text.as_bytes()).ok_or_else(|| Errno::Invalid.because("a secret has 1 to 255 bytes"))
    };
    let secret = hide(&entry.secret)?;
    let mutual = match (entry.muser, entry.msecret) {
        (Some(name), Some(ours)) => Some((name, hide(&ours)?)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(Errno::Invalid.because("muser and msecret go together"));
        }
    };
    // One end's answer must not serve as the other's (RFC 7143, section 12.1.3).
    if mutual.as_ref().is_some_and(|(_, ours)| ours.is_same(&secret)) {
        return Err(Errno::Invalid.because("the two directions have secrets of their own"));
    }
    if entry.user.is_empty() {
        return Err(Errno::Invalid.because("user"));
    }
    Ok(ChapAccount { name: entry.user, secret, mutual })
}

/// Accounts of one group.
const ACCOUNTS_MAX: usize = 4096;
