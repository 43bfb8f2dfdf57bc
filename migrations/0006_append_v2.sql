-- append_v2: as append_v1, and drafts that concern an earlier entry: edits and redactions.
--
-- A draft with a target (its staff number; the same conversation) is `stale_target` when the target is gone or was redacted.
-- An accepted redaction blanks its target and all edits of it in the same transaction: after it no reader finds the text.
-- A batch holds at most one draft per target (the committer sees to it), so that no edit can slip in beside its redaction.
--
-- Version 1 stays for nodes that still call it: they know neither edits nor redactions.

set role parlour_owner;

-- The staff number of the entry that an edit or a redaction is about; small, as few entries have one.
alter table entries add column target_seq bigint;
create index entries_target on entries (organization_id, conversation_id, target_seq) where target_seq is not null;

grant update (body) on entries to parlour_log_writer;

create function append_v2(
  p_wait boolean,
  p_organization uuid[],
  p_conversation uuid[],
  p_entry uuid[],
  p_client uuid[],
  p_hash bytea[],
  p_kind text[],
  p_audience text[],
  p_author_kind text[],
  p_author uuid[],
  p_author_name text[],
  p_body text[],
  p_holder uuid[],
  p_organization_version integer[],
  p_holder_version integer[],
  p_access_version integer[],
  p_refusal text[],
  p_card uuid[],
  p_card_revision integer[],
  p_card_change text[],
  p_target bigint[]
) returns table (
  ordinal integer, verdict text, epoch bigint, entry_id uuid, seq bigint, guest_seq bigint, at timestamptz, outcome jsonb
)
language plpgsql security definer
set search_path = pg_catalog, public, pg_temp
set plan_cache_mode = force_generic_plan
set enable_hashjoin = off
set enable_mergejoin = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  v_organizations uuid[];
  -- Memberships, API keys and shares, each as organization and id.
  v_holders text[];
  v_held_back uuid[];
  -- Conversation ids are unique by construction (UUID version 7 of ours), but the key is the pair: a draft that names a
  -- foreign conversation matches no row and is not found.
  v_locked uuid[];
  v_at timestamptz;
begin
  if p_wait then
    perform from organizations o where o.id = any (p_organization) order by o.id for share;
    perform from memberships m
      join (select distinct organization, holder from unnest(p_organization, p_holder, p_author_kind) d(organization, holder, kind)
            where d.kind = 'staff') d on m.organization_id = d.organization and m.person_id = d.holder
      order by m.organization_id, m.person_id for share of m;
    perform from api_keys k
      join (select distinct organization, holder from unnest(p_organization, p_holder, p_author_kind) d(organization, holder, kind)
            where d.kind = 'service') d on k.organization_id = d.organization and k.id = d.holder
      order by k.organization_id, k.id for share of k;
    perform from shares s
      join (select distinct organization, holder from unnest(p_organization, p_holder, p_author_kind) d(organization, holder, kind)
            where d.kind = 'guest') d on s.organization_id = d.organization and s.id = d.holder
      order by s.organization_id, s.id for share of s;
    select array_agg(l.id) into v_locked from (
      select c.id from conversations c
        join (select distinct organization, conversation from unnest(p_organization, p_conversation) d(organization, conversation)) d
          on c.organization_id = d.organization and c.id = d.conversation
        order by c.organization_id, c.id for no key update of c) l;
  else
    select coalesce(array_agg(l.id), '{}') into v_organizations from (
      select o.id from organizations o where o.id = any (p_organization) order by o.id for share skip locked) l;
    select coalesce(array_agg(l.key), '{}') into v_holders from (
      select m.organization_id::text || m.person_id as key from memberships m
        join (select distinct organization, holder from unnest(p_organization, p_holder, p_author_kind) d(organization, holder, kind)
              where d.kind = 'staff') d on m.organization_id = d.organization and m.person_id = d.holder
        order by m.organization_id, m.person_id for share of m skip locked) l;
    select v_holders || coalesce(array_agg(l.key), '{}') into v_holders from (
      select k.organization_id::text || k.id as key from api_keys k
        join (select distinct organization, holder from unnest(p_organization, p_holder, p_author_kind) d(organization, holder, kind)
              where d.kind = 'service') d on k.organization_id = d.organization and k.id = d.holder
        order by k.organization_id, k.id for share of k skip locked) l;
    select v_holders || coalesce(array_agg(l.key), '{}') into v_holders from (
      select s.organization_id::text || s.id as key from shares s
        join (select distinct organization, holder from unnest(p_organization, p_holder, p_author_kind) d(organization, holder, kind)
              where d.kind = 'guest') d on s.organization_id = d.organization and s.id = d.holder
        order by s.organization_id, s.id for share of s skip locked) l;
    -- One draft that cannot be judged now holds back its whole conversation, so that the others keep their order.
    select coalesce(array_agg(d.conversation), '{}') into v_held_back
      from unnest(p_organization, p_conversation, p_holder, p_author_kind) d(organization, conversation, holder, kind)
      left join organizations o on o.id = d.organization
      left join memberships m on d.kind = 'staff' and m.organization_id = d.organization and m.person_id = d.holder
      left join api_keys k on d.kind = 'service' and k.organization_id = d.organization and k.id = d.holder
      left join shares s on d.kind = 'guest' and s.organization_id = d.organization and s.id = d.holder
     where (o.id is not null and not o.id = any (v_organizations))
        or (coalesce(m.person_id, k.id, s.id) is not null
            and not (d.organization::text || d.holder) = any (v_holders));
    select array_agg(l.id) into v_locked from (
      select c.id from conversations c
        join (select distinct organization, conversation from unnest(p_organization, p_conversation) d(organization, conversation)) d
          on c.organization_id = d.organization and c.id = d.conversation
        where not c.id = any (v_held_back)
        order by c.organization_id, c.id for no key update of c skip locked) l;
  end if;

  v_at := clock_timestamp();

  return query
  with judged as materialized (
    select d.ordinal, d.organization, d.conversation, d.entry, d.client, d.hash, d.kind, d.audience, d.author_kind, d.author,
           d.author_name, d.body, d.refusal, d.card, d.card_revision, d.card_change, d.target,
           c.epoch, c.seq as base, c.guest_seq as guest_base,
           k.entry_id as key_entry, k.seq as key_seq, k.guest_seq as key_guest_seq, k.at as key_at, k.outcome as key_outcome,
           case
             when o.id is null or c.id is null then 'not_found'
             when not (d.conversation = any (coalesce(v_locked, '{}'))) then 'busy'
             -- An earlier try of this very draft, whose answer was lost: it is stored, whatever became of the rights since.
             when k.entry_id = d.entry then 'repeat'
             when g.version is null or g.ended then 'ended'
             when o.version <> d.organization_version or g.version <> d.holder_version
                  or c.access_version <> d.access_version then 'stale_grant'
             when k.hash = d.hash then 'repeat'
             when k.hash is not null then 'mismatch'
             when d.card is not null and case when cd.conversation_id = d.conversation then cd.revision else 0 end <> d.card_revision then 'stale_card'
             when d.target is not null and (t.seq is null or t.body ? 'redacted') then 'stale_target'
             when d.refusal is not null then 'refused'
             else 'accepted'
           end as verdict
    from unnest(p_organization, p_conversation, p_entry, p_client, p_hash, p_kind, p_audience, p_author_kind, p_author,
                p_author_name, p_body, p_holder, p_organization_version, p_holder_version, p_access_version, p_refusal,
                p_card, p_card_revision, p_card_change, p_target)
         with ordinality
         d(organization, conversation, entry, client, hash, kind, audience, author_kind, author, author_name, body, holder,
           organization_version, holder_version, access_version, refusal, card, card_revision, card_change, target, ordinal)
    left join organizations o on o.id = d.organization
    left join conversations c on c.organization_id = d.organization and c.id = d.conversation
    left join entry_keys k on k.organization_id = d.organization and k.conversation_id = d.conversation
                          and k.author_id = d.author and k.client_id = d.client
    -- The conversation is compared above: here it would invite a walk through all its cards.
    left join cards cd on cd.organization_id = d.organization and cd.id = d.card
    left join entries t on t.organization_id = d.organization and t.conversation_id = d.conversation and t.seq = d.target
    left join lateral (
      select m.version, m.status <> 'active' as ended from memberships m
        where d.author_kind = 'staff' and m.organization_id = d.organization and m.person_id = d.holder
          and d.author = d.holder
      union all
      select a.version, a.revoked_at is not null or coalesce(a.expires_at <= v_at, false) from api_keys a
        where d.author_kind = 'service' and a.organization_id = d.organization and a.id = d.holder
          and a.lineage = d.author
      union all
      select s.version, s.revoked_at is not null or s.expires_at <= v_at from shares s
        where d.author_kind = 'guest' and s.organization_id = d.organization and s.id = d.holder
          and s.conversation_id = d.conversation
          and exists (select from guests u where u.organization_id = s.organization_id and u.id = d.author and u.share_id = s.id)
    ) g on true
  ), numbered as materialized (
    select j.*,
           j.base + count(*) filter (where j.verdict = 'accepted') over w as seq,
           case when j.audience = 'everyone'
                then j.guest_base + count(*) filter (where j.verdict = 'accepted' and j.audience = 'everyone') over w end as guest_seq
    from judged j
    window w as (partition by j.organization, j.conversation order by j.ordinal)
  ), stored as (
    insert into entries (organization_id, conversation_id, seq, guest_seq, id, client_id, kind, audience, author_kind, author_id,
                         author_name, at, body, target_seq)
    select n.organization, n.conversation, n.seq, n.guest_seq, n.entry, n.client, n.kind, n.audience, n.author_kind, n.author,
           n.author_name, v_at, n.body::jsonb, n.target
    from numbered n where n.verdict = 'accepted'
  ), blanked as (
    update entries e set body = e.body || '{"text": "", "redacted": true}'
      from numbered n
     where n.verdict = 'accepted' and n.kind = 'redaction'
       and e.organization_id = n.organization and e.conversation_id = n.conversation and e.seq = n.target
  ), blanked_edits as (
    update entries e set body = e.body || '{"text": "", "redacted": true}'
      from numbered n
     where n.verdict = 'accepted' and n.kind = 'redaction'
       and e.organization_id = n.organization and e.conversation_id = n.conversation and e.target_seq = n.target
       and e.kind = 'edit'
  ), keyed as (
    insert into entry_keys (organization_id, conversation_id, author_id, client_id, hash, entry_id, seq, guest_seq, at, outcome)
    select n.organization, n.conversation, n.author, n.client, n.hash, n.entry,
           case when n.verdict = 'accepted' then n.seq end, case when n.verdict = 'accepted' then n.guest_seq end,
           v_at, n.refusal::jsonb
    from numbered n where n.verdict in ('accepted', 'refused')
  ), advanced as (
    update conversations c
       set seq = a.seq, guest_seq = greatest(c.guest_seq, a.guest_seq), last_entry_at = v_at, updated_at = v_at
      from (select n.organization, n.conversation, max(n.seq) as seq, max(n.guest_seq) as guest_seq
              from numbered n where n.verdict = 'accepted' group by n.organization, n.conversation) a
     where c.organization_id = a.organization and c.id = a.conversation
  ), offered as (
    insert into cards (organization_id, id, conversation_id, kind, version, state, offer)
    select n.organization, n.card, n.conversation, ch.kind, 1, ch.state, ch.offer
      from numbered n, jsonb_to_record(n.card_change::jsonb) ch(kind text, state text, offer jsonb)
     where n.verdict = 'accepted' and n.card is not null and n.card_revision = 0
  ), changed as (
    update cards cd set state = ch.state, holder = ch.holder, revision = cd.revision + 1
      from numbered n, jsonb_to_record(n.card_change::jsonb) ch(state text, holder jsonb)
     where n.verdict = 'accepted' and n.card is not null and n.card_revision > 0
       and cd.organization_id = n.organization and cd.id = n.card
  )
  select n.ordinal::integer, n.verdict, n.epoch,
         case n.verdict when 'repeat' then n.key_entry else n.entry end,
         case n.verdict when 'accepted' then n.seq when 'repeat' then n.key_seq end,
         case n.verdict when 'accepted' then n.guest_seq when 'repeat' then n.key_guest_seq end,
         case n.verdict when 'repeat' then n.key_at else v_at end,
         -- An earlier try of the same draft will be handed over now: not with a text that was redacted since.
         case n.verdict when 'repeat' then coalesce(n.key_outcome, case when n.key_entry = n.entry then (
           select '{"redacted": true}'::jsonb from entries r
             where r.organization_id = n.organization and r.conversation_id = n.conversation and r.seq = n.key_seq
               and r.body ? 'redacted') end) end
  from numbered n order by n.ordinal;
end
$$;

grant create on schema public to parlour_log_writer;
alter function append_v2 owner to parlour_log_writer;
revoke create on schema public from parlour_log_writer;
set role parlour_log_writer;
revoke all on function append_v2 from public;
grant execute on function append_v2 to parlour_app;
reset role;
