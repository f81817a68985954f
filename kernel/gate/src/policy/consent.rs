//! What a person's consent, and what a browser says for them, makes of a record.

use candor_model::Consent;

use super::region::lies_in;

/// Whether a region's people are asked before or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Mode {
    /// Nobody is asked.
    #[default]
    NotAsked,
    /// Consent is there until the person denies it.
    OptOut,
    /// Consent is there once the person grants it.
    OptIn,
}

/// What a browser's signal turns off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Switches {
    /// The row's subjects are not shared.
    pub no_share: bool,
    /// Identifiers are taken out.
    pub no_id: bool,
    /// No session is recorded.
    pub no_replay: bool,
}

/// `[consent]` of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConsentRules {
    /// Where no region says otherwise.
    pub mode: Mode,
    /// By region: a country's code, `EEA`, `EU` or `UK`.
    pub regions: Vec<(String, Mode)>,
    /// Who has turned cookies off is not known by anything else either (`no_cookie = "anonymous"`).
    pub anonymous_without_cookies: bool,
    /// `Sec-GPC: 1`.
    pub gpc: Switches,
    /// `DNT: 1`.
    pub dnt: Switches,
    /// A browser's signal counts although the person granted consent (`signals.beats_stored_consent`).
    pub signals_beat_consent: bool,
}

/// What a record and its request say about the person's will.
#[derive(Debug, Clone, Default)]
pub(crate) struct Will {
    /// It comes from a person's browser or device.
    pub is_of_device: bool,
    /// Where the person is, as far as anybody states it.
    pub country: Option<String>,
    pub consent: Option<Consent>,
    pub global_privacy_control: bool,
    pub do_not_track: bool,
    pub has_no_cookies: bool,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stance {
    /// False where it is not kept at all.
    pub is_kept: bool,
    /// False where it is kept without identifiers.
    pub identifies: bool,
    /// False where its subjects are not to be shared.
    pub shares: bool,
}

impl Stance {
    /// Kept as it is.
    pub const WHOLE: Stance = Stance { is_kept: true, identifies: true, shares: true };
}

impl ConsentRules {
    /// True where nothing that a record says makes a difference.
    pub(crate) fn is_indifferent(&self) -> bool {
        let none = Switches::default();
        self.strictest() == Mode::NotAsked
            && !self.anonymous_without_cookies
            && (self.gpc, self.dnt) == (none, none)
    }

    fn strictest(&self) -> Mode {
        self.regions.iter().map(|(_, mode)| *mode).fold(self.mode, Mode::max)
    }

    /// How people of a country are asked; of an unknown one as strictly as any.
    fn mode_in(&self, country: Option<&str>) -> Mode {
        let Some(country) = country else { return self.strictest() };
        // A country's own rule counts before that of what it lies in.
        let own = self.regions.iter().find(|(region, _)| region.eq_ignore_ascii_case(country));
        let of_region = || self.regions.iter().filter(|(region, _)| lies_in(country, region));
        own.map(|(_, mode)| *mode).or_else(|| of_region().map(|(_, mode)| *mode).max()).unwrap_or(self.mode)
    }

    /// What becomes of a record of an activity.
    pub(crate) fn stance(&self, rests_on_consent: bool, will: &Will) -> Stance {
        if !will.is_of_device {
            return Stance::WHOLE;
        }
        let has_consent = match self.mode_in(will.country.as_deref()) {
            Mode::NotAsked => !rests_on_consent || will.consent == Some(Consent::Granted),
            Mode::OptOut => will.consent != Some(Consent::Denied),
            Mode::OptIn => will.consent == Some(Consent::Granted),
        };
        let counts = self.signals_beat_consent || will.consent != Some(Consent::Granted);
        let says = |switch: fn(Switches) -> bool| {
            counts
                && (will.global_privacy_control && switch(self.gpc) || will.do_not_track && switch(self.dnt))
        };
        let is_anonymous =
            says(|switches| switches.no_id) || will.has_no_cookies && self.anonymous_without_cookies;
        Stance {
            is_kept: has_consent || !rests_on_consent,
            identifies: has_consent && !is_anonymous,
            shares: has_consent && !says(|switches| switches.no_share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRANTED: Option<Consent> = Some(Consent::Granted);
    const DENIED: Option<Consent> = Some(Consent::Denied);

    fn rules() -> ConsentRules {
        let regions = [("EEA", Mode::OptIn), ("US", Mode::NotAsked), ("NO", Mode::OptOut)];
        ConsentRules {
            mode: Mode::OptOut,
            regions: regions.map(|(region, mode)| (region.to_owned(), mode)).to_vec(),
            ..ConsentRules::default()
        }
    }

    fn device(country: Option<&str>, consent: Option<Consent>) -> Will {
        Will { is_of_device: true, country: country.map(str::to_owned), consent, ..Will::default() }
    }

    fn identifies(rules: &ConsentRules, will: &Will) -> bool {
        rules.stance(false, will).identifies
    }

    #[test]
    fn consent_mode_by_region() {
        let rules = rules();
        for (country, unsaid, granted, denied) in [
            (Some("DE"), false, true, false),
            (Some("NO"), true, true, false),
            (Some("BR"), true, true, false),
            (Some("US"), true, true, true),
            (None, false, true, false),
        ] {
            let by = |consent| identifies(&rules, &device(country, consent));
            assert_eq!((by(None), by(GRANTED), by(DENIED)), (unsaid, granted, denied), "{country:?}");
        }
    }

    #[test]
    fn what_rests_on_consent_is_not_kept_without() {
        let rules = rules();
        let kept = |will: &Will| rules.stance(true, will).is_kept;
        assert!(!kept(&device(Some("DE"), None)) && kept(&device(Some("DE"), GRANTED)));
        assert!(!kept(&device(Some("US"), None)), "where nobody is asked nobody consents");
        assert!(kept(&Will::default()), "a server's record rests on its activity's basis");
        assert!(rules.stance(false, &device(Some("DE"), DENIED)).is_kept);
    }

    #[test]
    fn signals_turn_off_what_their_switches_say() {
        let gpc = Switches { no_share: true, ..Switches::default() };
        let dnt = Switches { no_id: true, ..Switches::default() };
        let rules = ConsentRules { gpc, dnt, signals_beat_consent: true, ..ConsentRules::default() };
        let by = |global_privacy_control, do_not_track, consent| {
            let will = Will { global_privacy_control, do_not_track, ..device(Some("US"), consent) };
            let stance = rules.stance(false, &will);
            (stance.identifies, stance.shares)
        };
        assert_eq!(by(false, false, None), (true, true));
        assert_eq!(by(true, false, None), (true, false));
        assert_eq!(by(false, true, None), (false, true));
        assert_eq!(by(true, true, GRANTED), (false, false));
        let milder = ConsentRules { signals_beat_consent: false, ..rules.clone() };
        let will = Will { do_not_track: true, ..device(Some("US"), GRANTED) };
        assert!(milder.stance(false, &will).identifies, "consent was granted");
        assert!(!milder.stance(false, &Will { consent: None, ..will }).identifies);
    }

    #[test]
    fn who_has_no_cookies_is_anonymous() {
        let rules = ConsentRules { anonymous_without_cookies: true, ..ConsentRules::default() };
        let will = Will { has_no_cookies: true, ..device(None, None) };
        assert!(!identifies(&rules, &will));
        assert!(identifies(&ConsentRules::default(), &will));
        assert!(identifies(&rules, &device(None, None)));
    }
}
