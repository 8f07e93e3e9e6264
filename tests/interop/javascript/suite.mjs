// PagerDuty's JavaScript SDK at work. ../test_javascript.py starts the pager, and says where things are:
//
//     TOCSIN_SDK      folder with node_modules          TOCSIN_PORT    of TLS on loopback, for pager.example.com
//     TOCSIN_TOKEN    the account's token               TOCSIN_PHONES  file of what phones got
import assert from 'node:assert/strict';
import https from 'node:https';
import tls from 'node:tls';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const { api, event, trigger, acknowledge, resolve } = createRequire(`${process.env.TOCSIN_SDK}/package.json`)('@pagerduty/pdjs');

// The SDK finds the resource of an answer only behind a host name that ends in .com, without a port.
const HOST = 'pager.example.com';
const PAGE_SECONDS_MAX = 30;
const agent = new https.Agent();
agent.createConnection = () => tls.connect({ host: '127.0.0.1', port: Number(process.env.TOCSIN_PORT), servername: HOST });
const here = { server: HOST, agent };
const pd = api({ ...here, token: process.env.TOCSIN_TOKEN, headers: { From: 'ada@payments.example' } });

let ada, service, key;

async function until(what, condition) {
  for (const deadline = Date.now() + PAGE_SECONDS_MAX * 1000; Date.now() < deadline; await sleep(50)) {
    const value = await condition();
    if (value) return value;
  }
  assert.fail(`${what} did not happen within ${PAGE_SECONDS_MAX} s`);
}

async function made(endpoint, wrapper, object) {
  const { response, data } = await pd.post(endpoint, { data: { [wrapper]: object } });
  assert.equal(response.status, 201, JSON.stringify(data));
  return data[wrapper];
}

async function incident(title) {
  const { resource } = await pd.get('/incidents', { data: { 'service_ids[]': service.id, date_range: 'all' } });
  return resource.find(one => one.title === title);
}

const phones = () => readFileSync(process.env.TOCSIN_PHONES, 'utf8').split('\n').slice(0, -1).map(line => JSON.parse(line));
const payload = summary => ({ routing_key: key, payload: { summary, source: 'db1', severity: 'critical' } });

before(async () => {
  ada = await made('/users', 'user', { type: 'user', name: 'Ada Lovelace', email: 'ada@payments.example' });
  await made(`/users/${ada.id}/contact_methods`, 'contact_method', {
    type: 'sms_contact_method', label: 'Mobile', address: '2025550101', country_code: 1 });
  const policy = await made('/escalation_policies', 'escalation_policy', { type: 'escalation_policy', name: 'Payments', escalation_rules: [
    { escalation_delay_in_minutes: 30, targets: [{ id: ada.id, type: 'user_reference' }] }] });
  service = await made('/services', 'service', { type: 'service', name: 'Payments API',
    escalation_policy: { id: policy.id, type: 'escalation_policy_reference' } });
  const integration = { type: 'events_api_v2_inbound_integration', name: 'Events' };
  key = (await made(`/services/${service.id}/integrations`, 'integration', integration)).integration_key;
});

test('a trigger pages who is on call', async () => {
  const { resource } = await pd.get('/oncalls');
  assert.deepEqual(resource.map(one => one.user.id), [ada.id]);
  const { data, response } = await trigger({ ...here, data: payload('Card payments fail') });
  assert.equal(response.status, 202);
  assert.equal(data.status, 'success');
  const { incident_number: number } = await until('the incident', () => incident('Card payments fail'));
  await until('the page', () => phones().find(page => page.text.includes(`#${number}`) && page.channel === 'sms' && page.to === '+12025550101'));
});

test('events acknowledge and resolve', async () => {
  const { data: { dedup_key } } = await event({ ...here, data: { ...payload('Queue is long'), event_action: 'trigger' } });
  for (const [act, status] of [[acknowledge, 'acknowledged'], [resolve, 'resolved']]) {
    assert.equal((await act({ ...here, data: { routing_key: key, dedup_key } })).response.status, 202);
    await until(`the incident ${status}`, async () => (await incident('Queue is long'))?.status === status);
  }
});

test('an incident is made, acknowledged, annotated and resolved', async () => {
  const incident = await made('/incidents', 'incident', { type: 'incident', title: 'Auditors are here',
    service: { id: service.id, type: 'service_reference' } });
  const acknowledged = await pd.put(`/incidents/${incident.id}`, { data: { incident: { type: 'incident_reference', status: 'acknowledged' } } });
  assert.equal(acknowledged.resource.status, 'acknowledged');
  assert.equal(acknowledged.resource.acknowledgements[0].acknowledger.id, ada.id);
  const { data: { note } } = await pd.post(`/incidents/${incident.id}/notes`, { data: { note: { content: 'With a warrant' } } });
  assert.equal(note.content, 'With a warrant');
  const { data: { incidents } } = await pd.put('/incidents', { data: { incidents: [
    { id: incident.id, type: 'incident_reference', status: 'resolved' }] } });
  assert.deepEqual(incidents.map(one => one.status), ['resolved']);
});

test('all pages of a list', async () => {
  const people = 60;
  for (let i = 0; i < people; i++) {
    await made('/users', 'user', { type: 'user', name: `Person ${i}`, email: `person${i}@many.example` });
  }
  const { resource, data } = await pd.all('/users', { data: { query: 'many.example' } });
  assert.equal(new Set(resource.map(one => one.id)).size, people);
  assert.equal(data.length, 3);
});

test('what is refused says why', async () => {
  const { response, data } = await pd.delete(`/escalation_policies/${service.escalation_policy.id}`);
  assert.equal(response.status, 400);
  assert.equal(data.error.code, 2001);
  const stranger = await api({ ...here, token: 'wrong', endpoint: '/users' });
  assert.equal(stranger.response.status, 401);
});
