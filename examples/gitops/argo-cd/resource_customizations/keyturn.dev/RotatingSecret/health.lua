-- Status follows kstatus: Stalled and Reconciling are there only while True. Suspended and adoption are told besides.
local hs = {status = "Progressing", message = "Keyturn has not looked at it yet"}

if obj.spec ~= nil and obj.spec.suspend == "Everything" then
  return {status = "Suspended", message = "spec.suspend: Everything"}
end
if obj.status == nil or obj.status.conditions == nil then
  return hs
end
if obj.status.observedGeneration ~= nil and obj.status.observedGeneration ~= obj.metadata.generation then
  hs.message = "Keyturn has not looked at the last edit yet"
  return hs
end

local found = {}
for _, condition in ipairs(obj.status.conditions) do
  found[condition.type] = condition
end

if found.Stalled ~= nil and found.Stalled.status == "True" then
  return {status = "Degraded", message = found.Stalled.reason .. ": " .. found.Stalled.message}
end
if found.Reconciling ~= nil and found.Reconciling.status == "True" then
  return {status = "Progressing", message = found.Reconciling.message}
end
if found.Ready == nil then
  return hs
end
if found.Ready.status ~= "True" then
  return {status = "Degraded", message = found.Ready.reason .. ": " .. found.Ready.message}
end
if found.Adopted ~= nil and found.Adopted.status == "False" and found.Adopted.reason == "RollingOut" then
  return {status = "Progressing", message = found.Adopted.message}
end
return {status = "Healthy", message = found.Ready.message}
