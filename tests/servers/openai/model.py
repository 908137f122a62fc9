"""A LLaVA of random weights, made on the spot, and its captions from the library called directly.

Run as a script it writes the model into ``--out``, or prints the captions of image files as JSON.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

SIZE, PATCH = 32, 8
SPECIALS = ["<unk>", "<pad>", "<s>", "</s>", "<image>"]
WORDS = (
    "a an the of on in near with and red green blue white black small large round square man woman dog cat bird horse"
    " boat tree field street table ball car kite stands sits runs rides holds looks at under over beside two three"
)
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }} "
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}"
    "{% endfor %}</s> {% endfor %}"
    "{% if add_generation_prompt %}assistant {% endif %}"
)


def make(folder: Path) -> None:
    """Write model and processor into ``folder``; the same weights each time."""
    words = {word: number for number, word in enumerate([*SPECIALS, *WORDS.split()])}
    plain = Tokenizer(models.WordLevel(words, unk_token="<unk>"))  # noqa: S106 - no password
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    plain.decoder = decoders.WordPiece(prefix="##", cleanup=False)  # puts the spaces back between words
    names = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, additional_special_tokens=["<image>"], **names)
    square = {"height": SIZE, "width": SIZE}
    pictures = CLIPImageProcessorPil(size=square, crop_size=square)
    LlavaProcessor(
        image_processor=pictures,
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # CLIP's class token, which 'default' leaves out again
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    sizes = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=SIZE, patch_size=PATCH, **sizes).to_dict(),
        text_config=LlamaConfig(
            vocab_size=len(words),
            max_position_embeddings=512,
            # Large weights: of small ones each picture gets the same words.
            initializer_range=0.6,
            bos_token_id=words["<s>"],
            eos_token_id=words["</s>"],
            pad_token_id=words["<pad>"],
            **sizes,
        ).to_dict(),
        image_token_index=words["<image>"],
        vision_feature_select_strategy="default",
        vision_feature_layer=-1,
    )
    torch.manual_seed(0)
    LlavaForConditionalGeneration(config).save_pretrained(folder)


def captions(folder: Path, files: list[str], prompt: str, max_tokens: int) -> list[str]:
    """What the library itself says of the prompt and each picture, one at a time, greedy."""
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    texts = []
    for file in files:
        parts = [{"type": "text", "text": prompt}, {"type": "image", "path": file}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": parts}],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        tokens = model.generate(**inputs, max_new_tokens=max_tokens, do_sample=False)
        texts.append(processor.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the model's folder; made where it is absent")
    parser.add_argument("--prompt", default="")
    parser.add_argument("--max-tokens", type=int, default=12)
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    if not (options.out / "config.json").exists():
        make(options.out)
    print(json.dumps(captions(options.out, options.files, options.prompt, options.max_tokens)))


if __name__ == "__main__":
    main()
