"""`keyturn crds`: the CustomResourceDefinitions of this version. Helm installs a chart's CRDs once, and never upgrades them."""

from __future__ import annotations

import click

from keyturn.cli.session import Place, placed


@click.command("crds")
@click.option("--apply", "send", is_flag=True, help="Apply them to the cluster (server-side), instead of printing them.")
@placed
async def crds(place: Place, send: bool) -> int:
    """Print the CRDs of this version as YAML; before an upgrade of the operator: keyturn crds --apply."""
    from keyturn.api.crd import documents, to_yaml

    if not send:
        click.echo("---\n".join(to_yaml(document) for document in documents()).rstrip())
        return 0
    async with place.client() as (client, _):
        for document in documents():
            name = document["metadata"]["name"]
            await client.request(
                "PATCH",
                f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}",
                document,
                subject=f"CustomResourceDefinition {name}",
                content_type="application/apply-patch+yaml",
                params={"fieldManager": "keyturn-crds", "force": "true"},
            )
            click.echo(f"customresourcedefinition.apiextensions.k8s.io/{name} applied")
    return 0
