//! The house's own secret that goes into every stored digest of a key.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use moltbot_auth::Pepper;
use moltbot_config::Home;
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::admin::write_private;
use crate::gateway::StartError;

/// The pepper of a home, made where there is none.
///
/// # Errors
/// Others may read it, it is damaged, or it can be neither read nor written.
pub(crate) fn pepper(home: &Home) -> Result<Pepper, StartError> {
    let path = home.pepper_file();
    let failed = |why: &dyn std::fmt::Display| {
        StartError::failed(format!("{} can't be used: {why}", path.display()))
    };
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(&path);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let bytes = Pepper::generate().map_err(StartError::other)?;
            fs::create_dir_all(home.data_dir()).map_err(|error| failed(&error))?;
            write_private(&path, &*bytes)?;
            return Ok(Pepper::new(&bytes));
        }
        Err(error) => return Err(failed(&error)),
    };
    let mode = file.metadata().map_err(|error| failed(&error))?.mode();
    if mode & 0o077 != 0 {
        let path = path.display();
        return Err(StartError::config(format!(
            "{path} can be read by others than its owner; run `chmod 600 {path}`"
        )));
    }
    let mut bytes = Zeroizing::new([0; 32]);
    let mut rest = [0; 1];
    let whole = file
        .read_exact(&mut *bytes)
        .and_then(|()| file.read(&mut rest));
    match whole {
        Ok(0) => Ok(Pepper::new(&bytes)),
        Ok(_) | Err(_) => Err(failed(&"it is damaged; put it back from a backup")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use moltbot_auth::CallerKey;

    use super::*;

    #[test]
    fn a_pepper_is_made_once_and_refused_where_others_read_it_or_it_is_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path());
        let key = CallerKey::generate().unwrap();
        let digest = || pepper(&home).map(|pepper| pepper.digest_of(&key));
        let first = digest().unwrap();
        assert_eq!(digest().unwrap(), first);
        let mode = |mode| fs::Permissions::from_mode(mode);
        let path = home.pepper_file();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, mode(0o640)).unwrap();
        assert!(digest().unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&path, mode(0o600)).unwrap();
        for bytes in [&[1; 31][..], &[1; 33], &[]] {
            fs::write(&path, bytes).unwrap();
            assert!(digest().unwrap_err().to_string().contains("damaged"));
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(digest().is_err());
    }
}
