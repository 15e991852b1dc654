//! Users of the console and their sessions.

use bartizan_model::{Secret, Timestamp};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Role, Session, User, time, word};
use crate::{Error, Store};

impl Store {
    /// Adds a user. Gives `false`, and changes nothing, when the name is taken.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn create_user(&self, user: &User) -> Result<bool, Error> {
        self.insert_user(user, "INSERT INTO users VALUES (?, ?, ?, ?) ON CONFLICT (name) DO NOTHING").await
    }

    /// Adds the first user. Gives `false`, and changes nothing, when there is any user: two set-ups cannot both win.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn create_first_user(&self, user: &User) -> Result<bool, Error> {
        self.insert_user(user, "INSERT INTO users SELECT ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM users)").await
    }

    async fn insert_user(&self, user: &User, insert: &'static str) -> Result<bool, Error> {
        let done = sqlx::query(insert)
            .bind(&user.name)
            .bind(user.role.as_str())
            .bind(user.password_hash.expose())
            .bind(user.created.as_micros())
            .execute(self.state_for_writing()?)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The user of this name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn user(&self, name: &str) -> Result<Option<User>, Error> {
        let row = sqlx::query("SELECT * FROM users WHERE name = ?").bind(name).fetch_optional(self.state()).await?;
        row.as_ref().map(user_of).transpose()
    }

    /// Every user, by name.
    ///
    /// # Errors
    /// The database failed.
    pub async fn users(&self) -> Result<Vec<User>, Error> {
        let rows = sqlx::query("SELECT * FROM users ORDER BY name").fetch_all(self.state()).await?;
        rows.iter().map(user_of).collect()
    }

    /// Changes a user's password hash and ends the user's sessions. Gives `false` when there is no such user.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn set_password(&self, name: &str, password_hash: &Secret<String>) -> Result<bool, Error> {
        let mut transaction = self.state_for_writing()?.begin().await?;
        let update = sqlx::query("UPDATE users SET password_hash = ? WHERE name = ?");
        let done = update.bind(password_hash.expose()).bind(name).execute(&mut *transaction).await?;
        sqlx::query("DELETE FROM sessions WHERE user_name = ?").bind(name).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Deletes a user with all sessions. Gives `false` when there is no such user.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn delete_user(&self, name: &str) -> Result<bool, Error> {
        let delete = sqlx::query("DELETE FROM users WHERE name = ?"); // sessions go by their foreign key
        let done = delete.bind(name).execute(self.state_for_writing()?).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Adds a session of an existing user.
    ///
    /// # Errors
    /// The database failed, there is no such user, or the store is read-only.
    pub async fn create_session(&self, session: &Session) -> Result<(), Error> {
        sqlx::query("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)")
            .bind(&session.token_hash[..])
            .bind(&session.user)
            .bind(session.created.as_micros())
            .bind(session.last_seen.as_micros())
            .bind(session.expires.as_micros())
            .execute(self.state_for_writing()?)
            .await?;
        Ok(())
    }

    /// The session of this token hash with its user, unless it has expired.
    ///
    /// # Errors
    /// The database failed.
    pub async fn session(&self, token_hash: &[u8; 32], now: Timestamp) -> Result<Option<(Session, User)>, Error> {
        let select = "SELECT sessions.created AS begun, last_seen, expires, users.* \
                      FROM sessions JOIN users ON users.name = user_name WHERE token_hash = ? AND expires > ?";
        let query = sqlx::query(select).bind(&token_hash[..]).bind(now.as_micros());
        let Some(row) = query.fetch_optional(self.state()).await? else { return Ok(None) };
        let user = user_of(&row)?;
        let session = Session {
            token_hash: *token_hash,
            user: user.name.clone(),
            created: time(&row, "begun")?,
            last_seen: time(&row, "last_seen")?,
            expires: time(&row, "expires")?,
        };
        Ok(Some((session, user)))
    }

    /// Notes that a session was used, and moves its end.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn touch_session(&self, token_hash: &[u8; 32], now: Timestamp, expires: Timestamp) -> Result<(), Error> {
        sqlx::query("UPDATE sessions SET last_seen = ?, expires = ? WHERE token_hash = ?")
            .bind(now.as_micros())
            .bind(expires.as_micros())
            .bind(&token_hash[..])
            .execute(self.state_for_writing()?)
            .await?;
        Ok(())
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn delete_session(&self, token_hash: &[u8; 32]) -> Result<(), Error> {
        let delete = sqlx::query("DELETE FROM sessions WHERE token_hash = ?").bind(&token_hash[..]);
        delete.execute(self.state_for_writing()?).await?;
        Ok(())
    }

    /// Deletes sessions that have expired; gives how many.
    ///
    /// # Errors
    /// The database failed, or the store is read-only.
    pub async fn delete_expired_sessions(&self, now: Timestamp) -> Result<u64, Error> {
        let delete = sqlx::query("DELETE FROM sessions WHERE expires <= ?").bind(now.as_micros());
        Ok(delete.execute(self.state_for_writing()?).await?.rows_affected())
    }
}

fn user_of(row: &SqliteRow) -> Result<User, Error> {
    Ok(User {
        name: row.try_get("name")?,
        role: word(row, "role", &Role::ALL, Role::as_str)?,
        password_hash: Secret::new(row.try_get("password_hash")?),
        created: time(row, "created")?,
    })
}
