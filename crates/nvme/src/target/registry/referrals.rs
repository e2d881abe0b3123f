//! Other discovery services that this one names.

use super::super::options::REFERRALS_MAX;
use super::super::{Referral, Target};
use super::ConfigError;

impl Target {
    /// Names another discovery service in the log.
    pub fn add_referral(&mut self, referral: Referral) -> Result<(), ConfigError> {
        if self.discovery.referrals.contains(&referral) {
            return Err(ConfigError::ReferralExists);
        }
        if self.discovery.referrals.len() >= REFERRALS_MAX {
            return Err(ConfigError::TooMany);
        }
        self.discovery.referrals.push(referral);
        self.discovery_changed();
        Ok(())
    }

    /// Names it no more.
    pub fn remove_referral(&mut self, referral: &Referral) -> Result<(), ConfigError> {
        let place = self.discovery.referrals.iter().position(|known| known == referral);
        self.discovery.referrals.remove(place.ok_or(ConfigError::UnknownReferral)?);
        self.discovery_changed();
        Ok(())
    }

    /// The discovery services named in the log.
    pub fn referrals(&self) -> &[Referral] {
        &self.discovery.referrals
    }
}
