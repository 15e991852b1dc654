//! The places that one caller was seen at, and whether a call from one more can be the same caller.
//!
//! A place is settled while nothing speaks against it, and contested from the call on that cannot be: one country too
//! many in the window, or a way that nobody travels in that time. Calls from settled places go on, whatever happens
//! elsewhere, so a thief at a new place shuts nobody out of an old one. A contested place is settled when the user was
//! verified after the contest began, by an event that no settled place has shown (a token that was stolen later proves
//! nothing), or when nothing speaks against it any longer. A settled place that was left comes back as what it was; what
//! settled in between without a proof is contested then. At most eight places are kept.

use std::cmp::Reverse;
use std::num::NonZeroU32;

use smallvec::SmallVec;

use crate::networks::{AddressFacts, Coordinates, Country};

/// LIMIT: places of one caller. More countries than a policy can allow, and room for those that are contested.
const PLACES_MAX: usize = 8;
/// Places that need no allocation: home, and one more.
const PLACES_INLINE: usize = 2;
/// How long a settled place is known after it was left: over a night's sleep.
const REMEMBERED_SECS: u32 = 86_400;
/// Geolocation of addresses errs by some hundred kilometers, most of all for mobile carriers: what is nearer is one place.
const NEAR_KM: f64 = 250.0;

/// Where a call comes from, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) country: Option<Country>,
    pub(crate) operator: Option<NonZeroU32>,
    pub(crate) coordinates: Option<Coordinates>,
}

/// What a caller may do without being contested.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) window_secs: u32,
    pub(crate) countries_max: Option<u32>,
    pub(crate) operators_max: Option<u32>,
    /// Kilometers an hour
    pub(crate) speed_max: Option<u32>,
}

/// What a call proves, and what a contest of it asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Proof {
    /// When the user was verified, in seconds; `None` = the credential cannot say
    pub(crate) verified_secs: Option<u32>,
    /// A contest ends with a proof only, as long as calls go on
    pub(crate) is_demanded: bool,
}

/// What a call from a place means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Seen {
    /// Nothing speaks against it
    Settled,
    /// A settled place comes back while the caller was seen elsewhere; that place is contested now
    Returned(Journey),
    /// The place is contested since a second; without a journey when only the proof is missing by now
    Contested { journey: Option<Journey>, since_secs: u32 },
}

/// The way that speaks against a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Journey {
    pub(crate) from: Sighting,
    pub(crate) elapsed_secs: u32,
    /// Where distance was judged
    pub(crate) kilometers: Option<u32>,
}

/// The places of one caller.
#[derive(Debug, Default)]
pub(crate) struct Places {
    list: SmallVec<[Place; PLACES_INLINE]>,
    /// The latest verification of the user that a settled place has shown
    shown_secs: u32,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    sighting: Sighting,
    standing: Standing,
    /// When it got this standing
    since_secs: u32,
    last_secs: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Settled,
    /// By a proof
    Verified,
    Contested,
}

impl Sighting {
    pub(crate) fn new(facts: &AddressFacts) -> Self {
        let operator = facts.asn.and_then(NonZeroU32::new); // 0 is nobody's (RFC 7607)
        Self { country: facts.country, operator, coordinates: facts.coordinates }
    }
}

impl Terms {
    /// Whether anything that is asked for is known of the place.
    pub(crate) fn can_judge(&self, sighting: &Sighting) -> bool {
        (self.countries_max.is_some() && sighting.country.is_some())
            || (self.operators_max.is_some() && sighting.operator.is_some())
            || (self.speed_max.is_some() && sighting.coordinates.is_some())
    }

    /// Whether a call from `sighting` is one from `place`: in everything that is asked for, as far as the call shows it.
    fn is_same(&self, place: &Sighting, sighting: &Sighting) -> bool {
        let near = |here: Coordinates| place.coordinates.is_some_and(|there| there.kilometers_to(here) <= NEAR_KM);
        (self.countries_max.is_none() || sighting.country.is_none() || sighting.country == place.country)
            && (self.operators_max.is_none() || sighting.operator.is_none() || sighting.operator == place.operator)
            && (self.speed_max.is_none() || sighting.coordinates.is_none_or(near))
    }
}

impl Place {
    /// Whether it is known at `now`: a settled one for a day, a contested one as long as calls go on.
    fn is_kept(&self, now: u32, terms: &Terms) -> bool {
        let age = self.last_secs.abs_diff(now);
        match self.standing {
            Standing::Settled | Standing::Verified => age <= REMEMBERED_SECS,
            Standing::Contested => age <= terms.window_secs,
        }
    }

    fn is_recent(&self, now: u32, terms: &Terms) -> bool {
        self.last_secs.abs_diff(now) <= terms.window_secs
    }

    fn journey(&self, now: u32, kilometers: Option<u32>) -> Journey {
        Journey { from: self.sighting, elapsed_secs: self.last_secs.abs_diff(now), kilometers }
    }
}

impl Places {
    /// A call from `sighting` at `now`, in seconds.
    pub(crate) fn see(&mut self, sighting: Sighting, now: u32, terms: &Terms, proof: Proof) -> Seen {
        self.list.retain(|place| place.is_kept(now, terms));
        if let Some(at) = self.find(&sighting, terms, false) {
            return self.see_settled(at, sighting, now, terms, proof);
        }
        let journey = self.against(&sighting, now, terms, None);
        let contested = self.find(&sighting, terms, true).and_then(|at| self.list.get_mut(at));
        let (standing, since_secs) = match (&contested, journey) {
            (None, None) => (Standing::Settled, now),
            (None, Some(_)) => (Standing::Contested, now),
            (Some(place), _) if proof.verified_secs > Some(place.since_secs.max(self.shown_secs)) => {
                (Standing::Verified, now)
            }
            (Some(_), None) if !proof.is_demanded => (Standing::Settled, now),
            (Some(place), _) => (Standing::Contested, place.since_secs),
        };
        match contested {
            Some(place) => *place = Place { standing, since_secs, last_secs: place.last_secs.max(now), ..*place },
            None => self.push(Place { sighting, standing, since_secs, last_secs: now }),
        }
        match standing {
            Standing::Contested => Seen::Contested { journey, since_secs },
            Standing::Settled | Standing::Verified => {
                self.show(proof);
                Seen::Settled
            }
        }
    }

    /// A call from where the caller was before. Coordinates stay those of the first call, so that nobody moves in steps.
    fn see_settled(&mut self, at: usize, sighting: Sighting, now: u32, terms: &Terms, proof: Proof) -> Seen {
        self.show(proof);
        let Some(place) = self.list.get_mut(at) else { return Seen::Settled };
        let before = *place;
        place.last_secs = place.last_secs.max(now);
        if before.standing == Standing::Verified || before.is_recent(now, terms) {
            return Seen::Settled;
        }
        // It was left. What has settled in the meantime, and cannot be, has to prove itself.
        let Some(journey) = self.against(&sighting, now, terms, Some(at)) else { return Seen::Settled };
        let mut is_any = false;
        for place in &mut self.list {
            if place.standing == Standing::Settled && place.since_secs > before.last_secs && place.is_recent(now, terms)
            {
                *place = Place { standing: Standing::Contested, since_secs: now, ..*place };
                is_any = true;
            }
        }
        if is_any { Seen::Returned(journey) } else { Seen::Settled }
    }

    fn show(&mut self, proof: Proof) {
        self.shown_secs = self.shown_secs.max(proof.verified_secs.unwrap_or(0));
    }

    /// The place of this call that was seen last, among the settled or the contested ones.
    fn find(&self, sighting: &Sighting, terms: &Terms, is_contested: bool) -> Option<usize> {
        let same = self.list.iter().enumerate().filter(|(_, place)| {
            (place.standing == Standing::Contested) == is_contested && terms.is_same(&place.sighting, sighting)
        });
        same.max_by_key(|(_, place)| place.last_secs).map(|(at, _)| at)
    }

    /// What speaks against a call from `here`, by the settled places but `except`.
    fn against(&self, here: &Sighting, now: u32, terms: &Terms, except: Option<usize>) -> Option<Journey> {
        let settled = || {
            let others = self.list.iter().enumerate().filter(move |(at, _)| Some(*at) != except);
            others.map(|(_, place)| place).filter(|place| place.standing != Standing::Contested)
        };
        let recent = || settled().filter(move |place| place.is_recent(now, terms));
        let too_far = settled().filter_map(|place| Some((place, too_far(place, here, now, terms)?)));
        if let Some((place, kilometers)) = too_far.max_by_key(|(place, _)| place.last_secs) {
            return Some(place.journey(now, Some(kilometers)));
        }
        let countries = recent().map(|place| (place.sighting.country, place));
        let operators = recent().map(|place| (place.sighting.operator, place));
        let one_more = one_more(here.country, countries, terms.countries_max)
            .or_else(|| one_more(here.operator, operators, terms.operators_max))?;
        Some(one_more.journey(now, None))
    }

    /// Adds a place. When there are too many, a contested one makes room first, then the one that was left longest, of
    /// several the newest.
    fn push(&mut self, place: Place) {
        if self.list.len() >= PLACES_MAX {
            let rank =
                |place: &Place| (place.standing != Standing::Contested, place.last_secs, Reverse(place.since_secs));
            if let Some((at, _)) = self.list.iter().enumerate().min_by_key(|(_, place)| rank(place)) {
                self.list.swap_remove(at);
            }
        }
        self.list.push(place);
    }
}

/// Kilometers between `place` and `here`, when nobody travels them in the time between.
fn too_far(place: &Place, here: &Sighting, now: u32, terms: &Terms) -> Option<u32> {
    let kilometers = place.sighting.coordinates?.kilometers_to(here.coordinates?);
    let hours = f64::from(place.last_secs.abs_diff(now).max(1)) / 3600.0;
    let is_too_fast = kilometers - NEAR_KM > f64::from(terms.speed_max?) * hours;
    is_too_fast.then_some(kilometers as u32) // at most half the earth's circumference
}

/// The place seen last of those that are elsewhere, when `here` is one more than `max`.
fn one_more<'p, T: Copy + PartialEq>(
    here: Option<T>,
    places: impl Iterator<Item = (Option<T>, &'p Place)>,
    max: Option<u32>,
) -> Option<&'p Place> {
    let (here, max) = (here?, max?);
    let mut others: SmallVec<[T; PLACES_MAX]> = SmallVec::new();
    let mut last: Option<&Place> = None;
    for (there, place) in places.filter_map(|(there, place)| Some((there?, place))) {
        if there == here {
            return None; // it is none more
        }
        if !others.contains(&there) {
            others.push(there);
        }
        if last.is_none_or(|last| last.last_secs <= place.last_secs) {
            last = Some(place);
        }
    }
    last.filter(|_| others.len() >= max as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: u32 = 3600;
    const COUNTRY: Terms = Terms { window_secs: HOUR, countries_max: Some(1), operators_max: None, speed_max: None };
    const SPEED: Terms = Terms { countries_max: None, speed_max: Some(1000), ..COUNTRY };
    const NOTHING: Proof = Proof { verified_secs: None, is_demanded: false };

    fn country(code: &str) -> Sighting {
        Sighting { country: Some(code.as_bytes().try_into().unwrap()), operator: None, coordinates: None }
    }

    fn point(latitude: f64, longitude: f64) -> Sighting {
        Sighting { country: None, operator: None, coordinates: Coordinates::new(latitude, longitude) }
    }

    fn token(verified_secs: u32) -> Proof {
        Proof { verified_secs: Some(verified_secs), is_demanded: true }
    }

    /// `s` settled, `r` returned, `c` contested, for calls `(minute, country, proof)`.
    fn told(terms: &Terms, calls: &[(u32, &str, Proof)]) -> String {
        let mut places = Places::default();
        let letter =
            |(minute, code, proof): &(u32, &str, Proof)| match places.see(country(code), minute * 60, terms, *proof) {
                Seen::Settled => 's',
                Seen::Returned(_) => 'r',
                Seen::Contested { .. } => 'c',
            };
        calls.iter().map(letter).collect()
    }

    #[test]
    fn a_second_country_within_the_window_is_contested_and_the_first_goes_on() {
        let calls =
            [(0, "DE", NOTHING), (10, "US", NOTHING), (11, "DE", NOTHING), (12, "US", NOTHING), (70, "DE", NOTHING)];
        assert_eq!(told(&COUNTRY, &calls), "scscs");
        assert_eq!(told(&COUNTRY, &[(0, "DE", NOTHING), (61, "US", NOTHING), (62, "US", NOTHING)]), "sss");
        assert_eq!(told(&COUNTRY, &[(0, "DE", NOTHING), (60, "US", NOTHING)]), "sc", "the window's end is within");
    }

    #[test]
    fn as_many_countries_as_are_allowed_are_settled_and_one_more_is_not() {
        let two = Terms { countries_max: Some(2), ..COUNTRY };
        let calls = ["DE", "FR", "DE", "AT", "FR", "AT"].map(|code| (1, code, NOTHING));
        assert_eq!(told(&two, &calls), "ssscsc");
    }

    #[test]
    fn a_contest_ends_when_the_old_place_was_silent_for_a_window() {
        let calls =
            [(0, "DE", NOTHING), (30, "US", NOTHING), (59, "US", NOTHING), (61, "US", NOTHING), (62, "US", NOTHING)];
        assert_eq!(told(&COUNTRY, &calls), "sccss");
        let tried_on: Vec<_> =
            std::iter::once((0, "DE", token(0))).chain((1..9).map(|at| (at * 30, "US", token(0)))).collect();
        assert_eq!(told(&COUNTRY, &tried_on), "scccccccc", "where a proof is demanded, trying on is none");
        let came_again = [(0, "DE", token(0)), (30, "US", token(0)), (91, "US", token(0))];
        assert_eq!(told(&COUNTRY, &came_again), "scs", "who stays away for a window is forgotten");
    }

    #[test]
    fn a_proof_later_than_the_first_call_settles_the_new_place_and_both_go_on() {
        let begun = 10 * 60;
        for (verified, wanted) in [(begun - 1, "sccs"), (begun, "sccs"), (begun + 1, "scss")] {
            let calls = [(0, "DE", token(1)), (10, "US", token(1)), (12, "US", token(verified)), (13, "DE", token(1))];
            assert_eq!(told(&COUNTRY, &calls), wanted, "{verified}");
        }
        let calls = [
            (0, "DE", token(1)),
            (10, "US", token(1)),
            (12, "US", token(700)),
            (13, "US", token(1)),
            (14, "DE", token(1)),
            (90, "US", token(1)),
            (160, "DE", token(1)),
        ];
        assert_eq!(told(&COUNTRY, &calls), "scsssss", "a place is proven, not a token; and both stay known");
    }

    #[test]
    fn a_fresh_token_that_was_stolen_at_the_old_place_proves_nothing_at_the_new_one() {
        // The thief has tried before the owner logged in again, so the login is later than the first try.
        let calls = [
            (0, "DE", token(1)),
            (10, "US", token(1)),
            (20, "DE", token(1100)),
            (21, "US", token(1100)),
            (22, "US", token(1101)),
        ];
        assert_eq!(told(&COUNTRY, &calls), "scscs");
    }

    #[test]
    fn an_owner_who_comes_back_is_let_in_and_who_settled_meanwhile_has_to_prove_itself() {
        let night = 8 * 60;
        let calls = [
            (0, "DE", NOTHING),
            (night, "US", NOTHING),
            (night + 5, "US", NOTHING),
            (night + 10, "DE", NOTHING),
            (night + 11, "US", NOTHING),
            (night + 12, "DE", NOTHING),
        ];
        assert_eq!(told(&COUNTRY, &calls), "sssrcs");
        let traveler = [(0, "DE", NOTHING), (night, "US", NOTHING), (2 * night, "DE", NOTHING)];
        assert_eq!(told(&COUNTRY, &traveler), "sss", "who only travels back is told nothing");
    }

    #[test]
    fn nobody_is_pushed_out_of_an_old_place_by_tries_from_many_new_ones() {
        let mut places = Places::default();
        assert_eq!(places.see(country("DE"), 0, &COUNTRY, NOTHING), Seen::Settled);
        for number in 0..600u16 {
            let code = [b'A' + (number / 26 % 26) as u8, b'a' + (number % 26) as u8];
            let seen = places.see(Sighting { country: Some(code), ..country("XX") }, 1, &COUNTRY, NOTHING);
            assert!(matches!(seen, Seen::Contested { .. }), "{seen:?}");
        }
        assert_eq!(places.list.len(), PLACES_MAX);
        assert_eq!(places.see(country("DE"), 2, &COUNTRY, NOTHING), Seen::Settled);
    }

    #[test]
    fn speed_is_judged_between_points_and_what_geolocation_errs_by_is_no_way() {
        let (berlin, potsdam, sydney) = (point(52.5, 13.4), point(52.4, 13.1), point(-33.9, 151.2));
        let mut places = Places::default();
        assert_eq!(places.see(berlin, 0, &SPEED, NOTHING), Seen::Settled);
        assert_eq!(places.see(potsdam, 1, &SPEED, NOTHING), Seen::Settled);
        let Seen::Contested { journey: Some(journey), .. } = places.see(sydney, 10 * HOUR, &SPEED, NOTHING) else {
            panic!("16,000 km in ten hours")
        };
        assert_eq!((journey.from, journey.elapsed_secs), (berlin, 10 * HOUR - 1));
        assert!((16_000..16_200).contains(&journey.kilometers.unwrap()));
        assert_eq!(places.see(sydney, 17 * HOUR, &SPEED, NOTHING), Seen::Settled, "an airliner is there by now");
        let mut places = Places::default();
        for step in 0..40_u32 {
            let seen = places.see(point(52.5, 13.4 + 3.0 * f64::from(step)), step, &SPEED, NOTHING);
            assert_eq!(matches!(seen, Seen::Settled), step < 2, "small steps do not add up: {step}");
        }
    }

    #[test]
    fn operators_are_counted_where_they_are_asked_for() {
        let terms = Terms { countries_max: None, operators_max: Some(2), ..COUNTRY };
        let operator = |number| Sighting { country: None, operator: NonZeroU32::new(number), coordinates: None };
        let mut places = Places::default();
        let mut is_settled = |number, at| places.see(operator(number), at, &terms, NOTHING) == Seen::Settled;
        assert!(is_settled(1, 0) && is_settled(2, 1) && !is_settled(3, 2) && is_settled(1, 3));
    }

    #[test]
    fn what_is_not_known_of_a_call_is_not_held_against_it_and_opens_no_door() {
        let terms = Terms { operators_max: Some(1), ..COUNTRY };
        let unknown = Sighting { country: None, operator: None, coordinates: None };
        let operator = Sighting { operator: NonZeroU32::new(7), ..unknown };
        let german = Sighting { country: Some(*b"DE"), ..operator };
        assert!(!terms.can_judge(&unknown) && terms.can_judge(&operator) && !SPEED.can_judge(&german));
        let mut places = Places::default();
        assert_eq!(places.see(german, 0, &terms, NOTHING), Seen::Settled);
        assert_eq!(places.see(operator, 1, &terms, NOTHING), Seen::Settled, "the same operator, the country unknown");
        let mut places = Places::default();
        assert_eq!(places.see(operator, 0, &terms, NOTHING), Seen::Settled);
        assert_eq!(places.see(german, 1, &terms, NOTHING), Seen::Settled);
        let american = Sighting { country: Some(*b"US"), ..operator };
        assert!(
            matches!(places.see(american, 2, &terms, NOTHING), Seen::Contested { .. }),
            "an unknown country is no wildcard"
        );
    }

    #[test]
    fn a_clock_that_steps_back_changes_nothing() {
        let calls = [(600, "DE", NOTHING), (590, "US", NOTHING), (601, "DE", NOTHING), (589, "DE", NOTHING)];
        assert_eq!(told(&COUNTRY, &calls), "scss");
    }

    proptest! {
        /// Whatever happens elsewhere, a place that was settled and used within the window is never contested.
        #[test]
        fn a_place_that_is_in_use_stays_open_and_the_list_stays_short(
            calls in proptest::collection::vec((0_u32..3000, 0_u8..12, any::<bool>(), proptest::option::of(0_u32..40_000)), 1..200),
            speed in any::<bool>(),
        ) {
            let terms = Terms { speed_max: speed.then_some(500), ..COUNTRY };
            let mut places = Places::default();
            let mut now = 1_000_000;
            for (wait, place, is_demanded, verified) in calls {
                now += wait / 4;
                let home = country("DE");
                let is_shut_out = matches!(places.see(home, now, &terms, NOTHING), Seen::Contested { .. });
                prop_assert!(!is_shut_out);
                let code = [b'A' + place, b'Z'];
                let proof = Proof { verified_secs: verified.map(|secs| 1_000_000 + secs), is_demanded };
                places.see(Sighting { country: Some(code), ..home }, now, &terms, proof);
                prop_assert!(places.list.len() <= PLACES_MAX);
            }
        }
    }
}
