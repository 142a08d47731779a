"""Id tags are masked wherever their name stands before them, and nothing else is."""

import json

import pytest

from chargepoint.id_tag_mask import mask_id_tags, mask_id_tags_in_text

TAG = "04A2-FF 19"
WHOLE = json.dumps({"idTag": TAG, "idTagInfo": {"parentIdTag": TAG, "status": "Accepted"}}, separators=(",", ":"))


@pytest.mark.parametrize(
    "line",
    [
        f"CALL '1' 'Authorize' {WHOLE}",
        json.dumps({"message": f"CALL {WHOLE}"}),
        json.dumps({"message": json.dumps({"data": WHOLE})}),
        f"StartTransaction(connector_id=1, id_tag='{TAG}', meter_start=0)",
        f"id_tag={TAG!r} parent_id_tag={TAG!r}",
        f'the id tag "{TAG}" is not known',
        f"idTag: '{TAG}'",
    ],
)
def test_quoted_id_tags_go_whole(line: str) -> None:
    masked = mask_id_tags_in_text(line)
    assert "04A2" not in masked
    assert "19" not in masked
    assert "***" in masked


@pytest.mark.parametrize("line", ["id tag 04A2 was refused", "idTag=04A2, connector 1", "ID TAG: 04A2", "id_tag 04A2"])
def test_bare_id_tags_go_up_to_their_end(line: str) -> None:
    masked = mask_id_tags_in_text(line)
    assert "04A2" not in masked
    assert masked == line.replace("04A2", "***")


@pytest.mark.parametrize(
    "line",
    [
        "connected to ws://cs.example.com",
        "staging 1, tagging 2",
        '"idTagInfo":{"status":"Accepted"}',
        "valid tag",
        "",
        "TAG",
    ],
)
def test_other_text_stays(line: str) -> None:
    assert mask_id_tags_in_text(line) == line


def test_json_of_a_message_stays_json() -> None:
    masked = json.loads(mask_id_tags_in_text(WHOLE))
    assert masked == {"idTag": "***", "idTagInfo": {"parentIdTag": "***", "status": "Accepted"}}


def test_values_are_masked_by_their_names_at_any_depth() -> None:
    status = {
        "transactions": [{"id_tag": TAG, "parentIdTag": None, "connector": 1, "note": f"id tag '{TAG}'"}],
        "idTags": [TAG, TAG],
        "count": 3,
        "free": True,
    }
    assert mask_id_tags(status) == {
        "transactions": [{"id_tag": "***", "parentIdTag": None, "connector": 1, "note": "id tag '***'"}],
        "idTags": "***",
        "count": 3,
        "free": True,
    }
