//! Every operation of the sample API: the truth that the API serves, the player plays and the tests check.

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Which it is
    pub name: Op,
    /// Virtual host it belongs to
    pub host: &'static str,
    /// Method
    pub method: &'static str,
    /// Path with `{parameters}`
    pub template: &'static str,
    /// What it asks of the caller
    pub access: Access,
}

/// What an operation asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing
    Open,
    /// A bearer token, or the session cookie of the shop
    User,
    /// The header `x-api-key` of a partner
    Partner,
    /// HTTP Basic, for the monitoring
    Monitor,
    /// The bearer token of a member of staff
    Staff,
}

/// Names of the operations.
#[expect(missing_docs, reason = "the table below says what each one is")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    SignUp,
    Login,
    Logout,
    Token,
    PasswordReset,
    OwnProfile,
    Profile,
    ChangeProfile,
    ChangeAddress,
    Accounts,
    Account,
    ChangeAccount,
    Balance,
    Transactions,
    Transaction,
    Statements,
    Statement,
    Transfers,
    CreateTransfer,
    Transfer,
    CancelTransfer,
    Payees,
    CreatePayee,
    DeletePayee,
    Move,
    ChequeDeposits,
    CreateChequeDeposit,
    ChequeDeposit,
    ChequeImage,
    Cards,
    LockCard,
    Notifications,
    NotificationStream,
    ExchangeRates,
    Branches,
    OldLogin,
    OldAccount,
    OldProfile,
    AdminUsers,
    AdminUser,
    AdminChangeRole,
    AdminDeleteUser,
    AdminAccount,
    AdminDailyReport,
    Health,
    Metrics,
    Products,
    Product,
    Reviews,
    CreateReview,
    Search,
    Categories,
    Cart,
    AddToCart,
    ChangeCartItem,
    RemoveFromCart,
    Orders,
    CreateOrder,
    Order,
    CancelOrder,
    Invoice,
    PartnerPrices,
    PartnerStock,
}

/// The bank's host.
pub const BANK: &str = "bank.example";
/// The shop's host.
pub const SHOP: &str = "shop.example";

const fn bank(name: Op, access: Access, method: &'static str, template: &'static str) -> Operation {
    Operation { name, host: BANK, method, template, access }
}

const fn shop(name: Op, access: Access, method: &'static str, template: &'static str) -> Operation {
    Operation { name, host: SHOP, method, template, access }
}

use Access::{Monitor, Open, Partner, Staff, User};

/// Every operation.
pub const OPERATIONS: &[Operation] = &[
    bank(Op::SignUp, Open, "POST", "/v2/sign-up"),
    bank(Op::Login, Open, "POST", "/v2/login"),
    bank(Op::Logout, User, "POST", "/v2/logout"),
    bank(Op::Token, Open, "POST", "/oauth/token"),
    bank(Op::PasswordReset, Open, "POST", "/v2/password-reset"),
    bank(Op::OwnProfile, User, "GET", "/v2/profiles/me"),
    bank(Op::Profile, User, "GET", "/v2/profiles/{profileId}"), // weak: anyone's, for any user
    bank(Op::ChangeProfile, User, "PATCH", "/v2/profiles/{profileId}"),
    bank(Op::ChangeAddress, User, "PUT", "/v2/profiles/{profileId}/address"),
    bank(Op::Accounts, User, "GET", "/v2/accounts"),
    bank(Op::Account, User, "GET", "/v2/accounts/{accountId}"),
    bank(Op::ChangeAccount, User, "PATCH", "/v2/accounts/{accountId}"),
    bank(Op::Balance, User, "GET", "/v2/accounts/{accountId}/balance"),
    bank(Op::Transactions, User, "GET", "/v2/accounts/{accountId}/transactions"),
    bank(Op::Transaction, User, "GET", "/v2/accounts/{accountId}/transactions/{transactionId}"),
    bank(Op::Statements, User, "GET", "/v2/accounts/{accountId}/statements"),
    bank(Op::Statement, User, "GET", "/v2/accounts/{accountId}/statements/{month}"),
    bank(Op::Transfers, User, "GET", "/v2/transfers"),
    bank(Op::CreateTransfer, User, "POST", "/v2/transfers"),
    bank(Op::Transfer, User, "GET", "/v2/transfers/{transferId}"),
    bank(Op::CancelTransfer, User, "DELETE", "/v2/transfers/{transferId}"),
    bank(Op::Payees, User, "GET", "/v2/payees"),
    bank(Op::CreatePayee, User, "POST", "/v2/payees"),
    bank(Op::DeletePayee, User, "DELETE", "/v2/payees/{payeeId}"),
    bank(Op::Move, User, "GET", "/move"), // weak: a change by GET with a cookie
    bank(Op::ChequeDeposits, User, "GET", "/v2/cheque-deposits"),
    bank(Op::CreateChequeDeposit, User, "POST", "/v2/cheque-deposits"),
    bank(Op::ChequeDeposit, User, "GET", "/v2/cheque-deposits/{depositId}"),
    bank(Op::ChequeImage, User, "POST", "/v2/cheque-deposits/{depositId}/image"),
    bank(Op::Cards, User, "GET", "/v2/cards"),
    bank(Op::LockCard, User, "POST", "/v2/cards/{cardId}/lock"),
    bank(Op::Notifications, User, "GET", "/v2/notifications"),
    bank(Op::NotificationStream, User, "GET", "/v2/notifications/stream"),
    bank(Op::ExchangeRates, Open, "GET", "/v2/exchange-rates"),
    bank(Op::Branches, Open, "GET", "/v2/branches"),
    bank(Op::OldLogin, Open, "POST", "/v1/login"),
    bank(Op::OldAccount, Open, "GET", "/v1/accounts/{accountId}"), // weak: replaced two years ago, no login
    bank(Op::OldProfile, Open, "GET", "/v1/users/{userId}/profile"), // weak: no login either
    bank(Op::AdminUsers, Staff, "GET", "/admin/users"),
    bank(Op::AdminUser, Staff, "GET", "/admin/users/{userId}"),
    bank(Op::AdminChangeRole, Staff, "PUT", "/admin/users/{userId}/role"),
    bank(Op::AdminDeleteUser, Staff, "DELETE", "/admin/users/{userId}"),
    bank(Op::AdminAccount, User, "GET", "/admin/accounts/{accountId}"), // weak: forgot to ask for staff
    bank(Op::AdminDailyReport, Staff, "GET", "/admin/reports/daily/{date}"),
    bank(Op::Health, Open, "GET", "/healthz"),
    bank(Op::Metrics, Monitor, "GET", "/metrics"),
    shop(Op::Products, Open, "GET", "/products"),
    shop(Op::Product, Open, "GET", "/products/{sku}"),
    shop(Op::Reviews, Open, "GET", "/products/{sku}/reviews"),
    shop(Op::CreateReview, User, "POST", "/products/{sku}/reviews"),
    shop(Op::Search, Open, "GET", "/search"),
    shop(Op::Categories, Open, "GET", "/categories"),
    shop(Op::Cart, User, "GET", "/cart"),
    shop(Op::AddToCart, User, "POST", "/cart/items"),
    shop(Op::ChangeCartItem, User, "PATCH", "/cart/items/{itemId}"),
    shop(Op::RemoveFromCart, User, "DELETE", "/cart/items/{itemId}"),
    shop(Op::Orders, User, "GET", "/orders"),
    shop(Op::CreateOrder, User, "POST", "/orders"),
    shop(Op::Order, User, "GET", "/orders/{orderId}"),
    shop(Op::CancelOrder, User, "POST", "/orders/{orderId}/cancel"),
    shop(Op::Invoice, User, "GET", "/orders/{orderId}/invoice"),
    shop(Op::PartnerPrices, Partner, "GET", "/partner/prices"),
    shop(Op::PartnerStock, Partner, "POST", "/partner/stock"),
];

impl Op {
    /// The row of the table.
    ///
    /// # Panics
    /// When the table lacks the operation; a test checks that it does not.
    pub fn operation(self) -> &'static Operation {
        let row = OPERATIONS.iter().find(|operation| operation.name == self);
        row.expect("every operation is in the table")
    }
}
