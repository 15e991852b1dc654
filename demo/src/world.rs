//! The people, accounts and products of the demo: the same for the API and the player, without any exchange of data.

/// Customers of the bank and the shop.
pub(crate) const USERS: u64 = 400;
/// The first customer's id; they are numbered on from it, which is what makes them easy to walk.
pub(crate) const FIRST_USER: u64 = 1001;
/// The first account's id.
pub(crate) const FIRST_ACCOUNT: u64 = 20_450_017;
/// Products in the shop.
pub(crate) const PRODUCTS: u64 = 120;
/// The member of staff.
pub(crate) const STAFF_USER: u64 = 9001;
/// Keys of the partners that send batch jobs.
pub(crate) const PARTNER_KEYS: [&str; 2] = ["pk_live_51Hx9QvTq8WmZr4LkYb2", "pk_live_77JdR0sFp3CnAe6UgXo5"];
/// Name and password with which the gateway asks about tokens, as HTTP Basic has them; the password is in
/// `demo/introspection.secret` too.
pub(crate) const GATEWAY: &str = "gateway:heron-on-one-leg-77";
/// Name and password of the monitoring, as HTTP Basic has them.
pub(crate) const MONITOR: &str = "monitor:bLue-heron-41";

const FIRST_NAMES: [&str; 20] = [
    "Amara", "Bruno", "Chiara", "Daniel", "Elif", "Farid", "Greta", "Hanna", "Igor", "Julia", "Kenji", "Leila",
    "Marek", "Nadia", "Oscar", "Priya", "Quentin", "Rosa", "Samuel", "Tove",
];
const LAST_NAMES: [&str; 20] = [
    "Andersson",
    "Baker",
    "Costa",
    "Dubois",
    "Eriksen",
    "Fischer",
    "Garcia",
    "Haas",
    "Ivanov",
    "Jansen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Novak",
    "Okafor",
    "Petrov",
    "Quinn",
    "Rossi",
    "Schmidt",
    "Tanaka",
];
const CITIES: [&str; 8] = ["Bremen", "Ghent", "Graz", "Lyon", "Malmö", "Porto", "Turin", "Utrecht"];
const CATEGORIES: [&str; 6] = ["books", "garden", "kitchen", "music", "outdoor", "toys"];
const GOODS: [&str; 10] =
    ["lamp", "kettle", "tent", "atlas", "ukulele", "spade", "puzzle", "teapot", "rucksack", "notebook"];

/// A customer; everything follows from the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User(pub(crate) u64);

impl User {
    /// The customer with this id, if there is one.
    pub(crate) fn find(id: u64) -> Option<Self> {
        ((FIRST_USER..FIRST_USER + USERS).contains(&id) || id == STAFF_USER).then_some(Self(id))
    }

    /// The customer with this e-mail address.
    pub(crate) fn find_by_email(email: &str) -> Option<Self> {
        let id: u64 = email.split_once('@')?.0.rsplit_once('.')?.1.parse().ok()?;
        Self::find(id).filter(|user| user.email() == email)
    }

    pub(crate) fn name(self) -> String {
        let first = FIRST_NAMES[(self.0 % 20) as usize];
        let last = LAST_NAMES[(self.0 / 20 % 20) as usize];
        format!("{first} {last}")
    }

    pub(crate) fn email(self) -> String {
        format!("{}.{}@mail.example", self.name().to_lowercase().replace(' ', "."), self.0)
    }

    pub(crate) fn password(self) -> String {
        format!("{}-{}", GOODS[(self.0 % 10) as usize], self.0 * 7919 % 100_003)
    }

    pub(crate) fn phone(self) -> String {
        format!("+49 421 {:07}", self.0 * 104_729 % 10_000_000)
    }

    pub(crate) fn birth_date(self) -> String {
        format!("{}-{:02}-{:02}", 1950 + self.0 % 55, 1 + self.0 % 12, 1 + self.0 % 28)
    }

    pub(crate) fn city(self) -> &'static str {
        CITIES[(self.0 % 8) as usize]
    }

    /// One to three accounts.
    pub(crate) fn accounts(self) -> Vec<u64> {
        let index = self.0.saturating_sub(FIRST_USER);
        (0..=index % 3).map(|nth| FIRST_ACCOUNT + index * 3 + nth).collect()
    }

    pub(crate) fn card(self) -> String {
        format!("card-{}", self.0 * 31)
    }
}

/// Whose account this is, if it exists.
pub(crate) fn account_owner(account: u64) -> Option<User> {
    let index = account.checked_sub(FIRST_ACCOUNT)? / 3;
    User::find(FIRST_USER + index).filter(|user| user.accounts().contains(&account))
}

/// A product of the shop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product(pub(crate) u64);

impl Product {
    /// The product with this stock number.
    pub(crate) fn find(sku: &str) -> Option<Self> {
        let number: u64 = sku.get(3..)?.parse().ok()?;
        let product = Self(number.checked_sub(41_000)? / 17);
        (product.0 < PRODUCTS && product.sku() == sku).then_some(product)
    }

    pub(crate) fn sku(self) -> String {
        let initials = ["BK", "GA", "KI", "MU", "OU", "TO"];
        format!("{}-{}", initials[(self.0 % 6) as usize], 41_000 + self.0 * 17)
    }

    pub(crate) fn name(self) -> String {
        format!("{} no. {}", GOODS[(self.0 % 10) as usize], self.0 + 1)
    }

    pub(crate) fn category(self) -> &'static str {
        CATEGORIES[(self.0 % 6) as usize]
    }

    pub(crate) fn price_cents(self) -> u64 {
        499 + self.0 * 733 % 19_500
    }
}

/// The categories of the shop.
pub(crate) const fn categories() -> [&'static str; 6] {
    CATEGORIES
}

/// What people search for.
pub(crate) const fn goods() -> [&'static str; 10] {
    GOODS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_accounts_and_products_are_found_by_what_they_show() {
        for id in (FIRST_USER..FIRST_USER + USERS).chain([STAFF_USER]) {
            let user = User(id);
            assert_eq!(User::find_by_email(&user.email()), Some(user));
        }
        for id in FIRST_USER..FIRST_USER + USERS {
            for account in User(id).accounts() {
                assert_eq!(account_owner(account), Some(User(id)));
            }
        }
        for number in 0..PRODUCTS {
            assert_eq!(Product::find(&Product(number).sku()).map(|product| product.0), Some(number));
        }
        assert_eq!(account_owner(FIRST_ACCOUNT + 1), None, "the first customer has one account");
    }
}
