-- Tenants, by id, with how many users each has. $1: one id, or null for all.
select tenant.id as tenant_id, tenant.name, tenant.limits::text as limits, tenant.created_at, count(app_user.id) as users
from tenant
left join app_user on app_user.tenant_id = tenant.id
where $1::text is null or tenant.id = $1
group by tenant.id
order by tenant.id
