-- A run is over once it is Complete or Failed.
local hs = {status = "Progressing", message = "has not begun"}

if obj.status == nil or obj.status.conditions == nil then
  return hs
end
for _, condition in ipairs(obj.status.conditions) do
  if condition.status == "True" then
    if condition.type == "Complete" then
      return {status = "Healthy", message = condition.message}
    elseif condition.type == "Failed" or condition.type == "Stalled" then
      return {status = "Degraded", message = condition.reason .. ": " .. condition.message}
    elseif condition.type == "Reconciling" then
      hs.message = condition.message
    end
  end
end
return hs
