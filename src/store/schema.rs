//! The tables, as the migrations leave them.

diesel::table! {
    tenants (id) {
        id -> Binary,
        slug -> Text,
        display_name -> Text,
        suspended -> Bool,
        networks -> Text,
        per_minute -> BigInt,
        create_time -> BigInt,
        update_time -> BigInt,
        version -> BigInt,
        mfa_required -> Bool,
        access_ttl -> BigInt,
        session_ttl -> BigInt,
        key_kinds -> Text,
        features -> Text,
        delete_time -> Nullable<BigInt>,
        entitlements -> Text,
    }
}

diesel::table! {
    roles (id) {
        id -> Binary,
        tenant_id -> Binary,
        name -> Text,
        description -> Text,
        permissions -> Text,
        create_time -> BigInt,
        update_time -> BigInt,
        version -> BigInt,
    }
}

diesel::table! {
    tenant_owners (tenant_id) {
        tenant_id -> Binary,
        user_id -> Binary,
        role -> Text,
    }
}

diesel::table! {
    invitations (id) {
        id -> Binary,
        tenant_id -> Binary,
        email -> Text,
        role -> Text,
        digest -> Binary,
        invited_by -> Text,
        create_time -> BigInt,
        expire_time -> BigInt,
    }
}

diesel::table! {
    users (id) {
        id -> Binary,
        email -> Text,
        password_hash -> Nullable<Text>,
        operator -> Bool,
        disabled -> Bool,
        create_time -> BigInt,
        version -> BigInt,
        email_verified -> Bool,
    }
}

diesel::table! {
    members (tenant_id, user_id) {
        tenant_id -> Binary,
        user_id -> Binary,
        role -> Text,
        create_time -> BigInt,
    }
}

diesel::table! {
    api_keys (id) {
        id -> Binary,
        tenant_id -> Binary,
        kind -> Text,
        user_id -> Nullable<Binary>,
        environment -> Text,
        scopes -> Text,
        digest -> Binary,
        imported -> Bool,
        previous_digest -> Nullable<Binary>,
        previous_until -> Nullable<BigInt>,
        networks -> Text,
        per_minute -> BigInt,
        expire_time -> Nullable<BigInt>,
        display_name -> Text,
        prefix -> Text,
        created_by -> Text,
        create_time -> BigInt,
        update_time -> BigInt,
        revoke_time -> Nullable<BigInt>,
        version -> BigInt,
    }
}

diesel::table! {
    api_key_uses (key_id) {
        key_id -> Binary,
        last_used -> BigInt,
    }
}

diesel::table! {
    ingest_usage (key_id, hour, signal) {
        tenant_id -> Binary,
        key_id -> Binary,
        hour -> BigInt,
        signal -> BigInt,
        requests -> BigInt,
        bytes_in -> BigInt,
        bytes_out -> BigInt,
        accepted -> BigInt,
        rejected -> BigInt,
    }
}

diesel::table! {
    key_usage (key_id, hour) {
        key_id -> Binary,
        hour -> BigInt,
        accepted -> BigInt,
        expired -> BigInt,
        address -> BigInt,
        permission -> BigInt,
        rate_limit -> BigInt,
        suspended -> BigInt,
        other -> BigInt,
        spike -> Bool,
    }
}

diesel::table! {
    requests (tenant_id, actor, request_id) {
        tenant_id -> Binary,
        actor -> Text,
        request_id -> Text,
        target -> Text,
        create_time -> BigInt,
    }
}

diesel::table! {
    audit_heads (tenant_id) {
        tenant_id -> Binary,
        size -> BigInt,
        since -> BigInt,
        sealed -> BigInt,
        frontier -> Binary,
        first -> BigInt,
        held -> Bool,
    }
}

diesel::table! {
    audit_entries (tenant_id, idx) {
        tenant_id -> Binary,
        idx -> BigInt,
        time -> BigInt,
        actor -> Text,
        action -> Text,
        target -> Text,
        entry -> Text,
    }
}

diesel::table! {
    audit_fields (tenant_id, idx, name) {
        tenant_id -> Binary,
        idx -> BigInt,
        name -> Text,
        salt -> Binary,
        value -> Text,
    }
}

diesel::table! {
    audit_tiles (tenant_id, n) {
        tenant_id -> Binary,
        n -> BigInt,
        root -> Binary,
        leaves -> Binary,
    }
}

diesel::table! {
    audit_checkpoints (tenant_id, size) {
        tenant_id -> Binary,
        size -> BigInt,
        time -> BigInt,
        note -> Text,
    }
}

diesel::table! {
    change_head (one) {
        one -> SmallInt,
        seq -> BigInt,
        era -> Text,
    }
}

diesel::table! {
    replicas (id) {
        id -> Binary,
        acknowledged -> BigInt,
        cuts -> Text,
        renewals -> BigInt,
        draining -> Bool,
        lease_ms -> BigInt,
    }
}

diesel::table! {
    changes (seq) {
        seq -> BigInt,
        payload -> Text,
        time -> BigInt,
    }
}

diesel::table! {
    instance (name) {
        name -> Text,
        value -> Binary,
    }
}

diesel::table! {
    sessions (id) {
        id -> Binary,
        tenant_id -> Binary,
        user_id -> Binary,
        methods -> Text,
        device -> Text,
        address -> Nullable<Text>,
        create_time -> BigInt,
        last_seen -> BigInt,
        expire_time -> BigInt,
        revoke_time -> Nullable<BigInt>,
    }
}

diesel::table! {
    refresh_tokens (digest) {
        digest -> Binary,
        session_id -> Binary,
        create_time -> BigInt,
        use_time -> Nullable<BigInt>,
        next_digest -> Nullable<Binary>,
        next_sealed -> Nullable<Binary>,
    }
}

diesel::table! {
    challenges (digest) {
        digest -> Binary,
        user_id -> Binary,
        tenant_id -> Binary,
        device -> Nullable<Binary>,
        expire_time -> BigInt,
    }
}

diesel::table! {
    totp_factors (user_id) {
        user_id -> Binary,
        secret -> Binary,
        confirmed -> Bool,
        last_step -> BigInt,
        create_time -> BigInt,
    }
}

diesel::table! {
    backup_codes (user_id, digest) {
        user_id -> Binary,
        digest -> Binary,
    }
}

diesel::table! {
    passkeys (id) {
        id -> Binary,
        user_id -> Binary,
        credential_id -> Binary,
        public_key -> Binary,
        counter -> BigInt,
        backup_eligible -> Bool,
        backed_up -> Bool,
        display_name -> Text,
        create_time -> BigInt,
        last_used -> Nullable<BigInt>,
    }
}

diesel::table! {
    used_challenges (digest) {
        digest -> Binary,
        expire_time -> BigInt,
    }
}

diesel::table! {
    devices (digest) {
        digest -> Binary,
        user_id -> Binary,
        last_seen -> BigInt,
    }
}

diesel::table! {
    mailed_tokens (digest) {
        digest -> Binary,
        user_id -> Binary,
        purpose -> Text,
        email -> Text,
        expire_time -> BigInt,
    }
}

diesel::table! {
    throttles (subject) {
        subject -> Binary,
        failures -> BigInt,
        last -> BigInt,
    }
}

diesel::table! {
    provider_keys (id) {
        id -> Binary,
        tenant_id -> Binary,
        provider -> Text,
        label -> Text,
        secret -> Binary,
        fingerprint -> Text,
        set_by -> Text,
        set_time -> BigInt,
        fetch_time -> Nullable<BigInt>,
    }
}

diesel::table! {
    signing_keys (kid) {
        kid -> Text,
        state -> Text,
        private -> Binary,
        create_time -> BigInt,
        withdrawn -> Bool,
    }
}

diesel::table! {
    break_glass_grants (id) {
        id -> Binary,
        tenant_id -> Binary,
        key_id -> Binary,
        permissions -> Text,
        create_time -> BigInt,
        expire_time -> BigInt,
        close_time -> Nullable<BigInt>,
        vetoed -> Bool,
    }
}

diesel::table! {
    break_glass_keys (key_id) {
        key_id -> Binary,
        use_time -> BigInt,
    }
}

diesel::table! {
    job_runs (name) {
        name -> Text,
        start_time -> BigInt,
        held_until -> BigInt,
        end_time -> Nullable<BigInt>,
        done -> BigInt,
        failure -> Nullable<Text>,
    }
}

diesel::joinable!(key_usage -> api_keys (key_id));
diesel::allow_tables_to_appear_in_same_query!(key_usage, api_keys);
diesel::joinable!(members -> users (user_id));
diesel::joinable!(members -> tenants (tenant_id));
diesel::allow_tables_to_appear_in_same_query!(members, users, tenants);
diesel::allow_tables_to_appear_in_same_query!(replicas, change_head);
diesel::allow_tables_to_appear_in_same_query!(audit_entries, audit_fields, audit_heads);
