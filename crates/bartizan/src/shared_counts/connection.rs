//! How Redis is reached: address, TLS, user and password. Files are read at each attempt, so that they can be renewed.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bartizan_config::Redis;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo,
    TlsCertificates,
};

/// Name, connection, TLS and log-in together.
const CONNECT: Duration = Duration::from_secs(2);
/// LIMIT: bytes of a file with a password, key or certificates.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Least bytes of the gateways' common secret.
const SECRET_BYTES_MIN: usize = 16;

/// Connects, and makes sure that the server answers commands: one that still loads its data does not.
pub(super) async fn connect(redis: &Redis) -> Result<MultiplexedConnection> {
    let client = client(redis)?;
    let settings = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(Duration::from_millis(redis.timeout_ms)));
    let mut connection = client.get_multiplexed_async_connection_with_config(&settings).await?;
    ping(&mut connection).await?;
    Ok(connection)
}

/// Asks for a sign of life.
pub(super) async fn ping(connection: &mut MultiplexedConnection) -> redis::RedisResult<()> {
    redis::cmd("PING").query_async(connection).await
}

/// What the gateways' common key is made of: the key file, else the password, else nothing.
pub(super) fn secret(redis: &Redis) -> Result<Vec<u8>> {
    if let Some(file) = &redis.key_file {
        let secret = read(file)?.trim_ascii().to_vec();
        let enough = secret.len() >= SECRET_BYTES_MIN;
        ensure!(enough, "`{}` holds fewer than {SECRET_BYTES_MIN} bytes; make it longer", file.display());
        return Ok(secret);
    }
    Ok(password(redis)?.unwrap_or_default().into_bytes())
}

fn client(redis: &Redis) -> Result<Client> {
    let mut login = RedisConnectionInfo::default().set_db(redis.database.into()).set_lib_name("bartizan", "1");
    if let Some(password) = password(redis)? {
        login = login.set_password(password);
    }
    if let Some(user) = &redis.user {
        login = login.set_username(user);
    }
    let (host, port) = (redis.host.clone(), redis.port);
    let Some(tls) = &redis.tls else {
        let info = ConnectionAddr::Tcp(host, port).into_connection_info()?;
        return Ok(Client::open(info.set_redis_settings(login))?);
    };
    let address = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
    let client_tls = match &tls.client {
        Some((certificate, key)) => Some(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? }),
        None => None,
    };
    let certificates = TlsCertificates { client_tls, root_cert: tls.authorities.as_deref().map(read).transpose()? };
    let info = address.into_connection_info()?.set_redis_settings(login);
    Ok(Client::build_with_tls(info, certificates)?)
}

fn password(redis: &Redis) -> Result<Option<String>> {
    let Some(file) = &redis.password_file else { return Ok(None) };
    let text = String::from_utf8(read(file)?).ok().with_context(|| format!("`{}` is not UTF-8", file.display()))?;
    Ok(Some(text.trim_end().to_owned()))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    opened.take(FILE_BYTES_MAX).read_to_end(&mut bytes).with_context(|| format!("cannot read `{}`", file.display()))?;
    Ok(bytes)
}
